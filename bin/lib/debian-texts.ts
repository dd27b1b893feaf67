/**
 * Texts of the Debian package that depend on what is in it: control file, changelog, copyright.
 *
 * Zone: control.  Debian Policy §4.4 (changelog), §5.3 (control), §12.5 (copyright).
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What Node.js and koffi are linked with; `objdump -p` names the versions. */
const LIBRARIES = 'libc6 (>= 2.28), libgcc-s1, libstdc++6 (>= 6)';
const MACHINES: Readonly<Record<string, string>> = { amd64: 'qemu-system-x86', arm64: 'qemu-system-arm' };

export interface ControlFacts {
  readonly version: string;
  readonly architecture: string;
  readonly maintainer: string;
  /** What is installed. */
  readonly kib: number;
}

export const control = ({ version, architecture, maintainer, kib }: ControlFacts): string => `Package: vmlan
Version: ${version}
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${kib}
Depends: ${LIBRARIES}
Recommends: ${MACHINES[architecture] ?? 'qemu-system'}
Section: net
Priority: optional
Description: network for virtual machines, without root
 vmlan gives virtual machines their network: DHCP, DNS, NAT, names for each
 other and port forwards, over IPv4 and IPv6. It needs no privileges and changes
 nothing on the host. Any machine monitor that speaks the socket protocols of
 QEMU or vfkit attaches to it, and so does a network namespace.
`;

export interface ChangelogFacts {
  readonly version: string;
  readonly date: Date;
  readonly maintainer: string;
}

export const changelog = ({
  version,
  date,
  maintainer,
}: ChangelogFacts): string => `vmlan (${version}) unstable; urgency=medium

  * Built from the sources of this version; changelog.gz tells what is new.

 -- ${maintainer}  ${date.toUTCString().replace('GMT', '+0000')}
`;

/** Of us, then of each package that is in ours: its name, version and licence, word for word. */
export function copyright(folders: readonly string[]): string {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    return `${RULE}\n${name} ${version} (${license})\n\n${licenceIn(folder) ?? `It is licensed under ${license}.`}\n`;
  });
  return [
    'vmlan is copyright its authors and licensed under the Apache License 2.0,',
    'which on Debian systems lies in /usr/share/common-licenses/Apache-2.0.',
    'Parts of other projects are in it; what follows are their licences.',
    '',
    ...parts,
  ].join('\n');
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

const RULE = '-'.repeat(72);

function licenceIn(folder: string): string | null {
  if (!existsSync(folder)) throw new Error(`${folder} is not installed`);
  const name = readdirSync(folder).find((each) => /^(licen[sc]e|copying)/i.test(each));
  return name === undefined ? null : readFileSync(join(folder, name), 'utf8').trimEnd();
}
