/**
 * What is said about the documents of the API and their keys.
 *
 * Zone: control.  Made from the interfaces of the model by VMLAN_UPDATE_DOCS=1 ./bin/test api/openapi; do not edit.
 */
import type { Description } from './description-texts.ts';

export const DESCRIPTIONS: Readonly<Record<string, Description>> = {
  Backup: {
    text: 'All that a daemon remembers.',
    keys: {
      vmlan: 'Which vmlan took it.',
      checksum: 'SHA-256 of all the rest, in hexadecimal digits.',
    },
  },
  CaptureQuery: {
    keys: {
      network: "All cards of this network; or which of the guest's networks is meant.",
      guest: 'The cards of this guest alone.',
      filter: 'In the words of pcap-filter(7): docs/capture.md.',
      snaplen: 'Bytes kept of each frame; 262144.',
      count: 'Ends after so many frames.',
      durationMs: 'Ends after so many milliseconds.',
      drops: '`true`: only frames that vmlan drops.',
      format: '`pcapng` (the default), or `lines`: one CapturedLine as JSON a line.',
    },
  },
  CapturedLine: {
    text: 'One frame.',
    keys: {
      direction: "As the network's switch sees it: `inbound` is what the guest sends.",
      length: 'Bytes, of an offloaded frame before it is cut.',
      lost: 'Frames of this card that are missing before this one.',
      dropped: 'The counter of the reason why vmlan dropped it.',
    },
  },
  FlowsQuery: {
    keys: {
      sort: 'Default bytes.',
      limit: 'How many, the first ones in this order; 1000, at most 100000.',
    },
  },
  FlowView: {
    text: 'One conversation of a guest with the world beyond its network, or through a forward.',
    keys: {
      state: "TCP: of the gateway's end towards the guest, in the names of RFC 9293; others: `UNREPLIED`, `ASSURED`.",
      guestPort: 'Of ICMP: the identifier of the echo.',
      remoteAddress: 'What the guest believes it talks to.',
      hostAddress: 'The socket of the host, ADDRESS:PORT; null where the flow has none of its own.',
      peerAddress: 'The client of a forward.',
      forward: "The forward that it goes through; null: the guest's own way out.",
      bytesFromGuest: 'Payload.',
      packetsFromGuest: 'An offloaded frame of many segments is one.',
      rttMs: 'Round trip between gateway and guest, TCP alone.',
      retransmissions: 'Segments that were sent to the guest again, TCP alone.',
    },
  },
  LogsQuery: {
    keys: {
      network: 'Of this network alone; omitted: of all, and of the daemon.',
      daemon: '`true`: of the daemon alone.',
      lines: 'The newest ones, so many, of those that are wanted: 0 to 100000; 100.',
      sinceMs: 'Not older than this moment.',
      level: 'Of this weight, and heavier.',
      follow: '`true`: goes on with what comes.',
    },
  },
  LogEntry: {
    text: 'One line of a log.',
    keys: {
      source: '`daemon`, or the name of a network.',
    },
  },
  LookupQuery: {
    keys: {
      name: 'A name; an IP address stands for its name in the reverse zone.',
      type: '`AAAA`, or TYPE123. Omitted: A, and PTR for an address.',
    },
  },
  LookupView: {
    keys: {
      status: 'NOERROR without answers: the name exists, and has no such record.',
      authoritative: 'The network knows the name itself; else the resolver of the host was asked.',
      name: 'The name and the type that were asked for.',
    },
  },
  NetworkCreate: {
    keys: {
      config: 'As under `networks: NAME:` in networks.yaml.',
    },
  },
  NetworkReplacement: {
    text: 'All of a network anew: its document, or the lines of YAML with comments.',
    keys: {},
  },
  DryRunQuery: {
    keys: {
      dryRun: '`true`: answers what would happen, and changes nothing.',
    },
  },
  ChangeQuery: {
    keys: {
      dryRun: '`true`: answers what would happen, and changes nothing.',
      restart:
        '`true`: a running network is started again where the change needs it; its guests lose their link for a moment.',
    },
  },
  DeleteQuery: {
    keys: {
      dryRun: '`true`: answers what would happen, and changes nothing.',
      force: '`true`: also while guests are registered on it; their NICs there are removed.',
    },
  },
  NetworkChange: {
    text: 'What a change of a network did, or would do.',
    keys: {
      file: 'networks.yaml.',
      diff: 'What changes in the file, as a unified diff; empty: nothing.',
      steps: 'What happens to running networks, a line each.',
      restartNeeded: 'Running networks that keep older settings until they are started again.',
      warnings: 'What a person should know although the change succeeds.',
    },
  },
  NetworkConfigView: {
    text: 'What is configured about a network.',
    keys: {
      origin: '`file`: it stands in networks.yaml; `default`: vmlan brings it.',
      place: 'Where it stands, `FILE:LINE`; null for a network that vmlan brings.',
      yaml: 'The same as lines of YAML, with the comments of the file.',
    },
  },
  ReservationBody: {
    text: 'An address that is kept for a guest, by its name or its MAC address.',
    keys: {},
  },
  ReservationView: {
    keys: {
      origin: '`config`: it stands in networks.yaml; `guest`: it belongs to a registered guest (`ip` of its NIC).',
    },
  },
  ConfigView: {
    keys: {
      file: 'networks.yaml, whether or not it exists.',
    },
  },
  ReloadView: {
    text: 'What loading networks.yaml again has changed.',
    keys: {},
  },
  ProbeInput: {
    keys: {
      network: "Which of the guest's networks; omitted: the only one, or the first that runs.",
      protocol: 'Default tcp.',
    },
  },
  ProbeResult: {
    keys: {
      address: 'Where it was tried; null: the guest has no address.',
      state:
        '`open`: it answers; `closed`: the guest refuses; `silent`: nothing came back, which for UDP may mean that somebody listens; `absent`: the guest is not there, or nobody has its address.',
    },
  },
  GuestInput: {
    keys: {
      network: 'Omitted: the default network (`defaultNetwork` of the status).',
      mac: 'Omitted: derived from the machine, the network and the name, always the same.',
      ip: 'Keeps this IPv4 address for the guest.',
      connected: 'Default true.',
    },
  },
  GuestPatch: {
    keys: {
      name: 'What it is called from now on; its addresses, forwards and shapes stay its own, and its link is not touched.',
      network: "Which of the guest's NICs; omitted: the only one, or the first.",
      ip: 'null lets the reserved address go.',
    },
  },
  NetnsInput: {
    text: 'A network namespace, by a process that is in it or by path (`/run/netns/NAME`).',
    keys: {
      interface: 'Default `eth0`.',
      configure: 'Also set address, route and resolver in the namespace; default true.',
    },
  },
  AttachInput: {
    keys: {
      network: "Omitted: the guest's own network, or the default one for a new guest.",
      kind: 'Default `qemu-stream`.',
      mac: 'For a guest that is registered by this call.',
      server: '`qemu-server`: the absolute path or HOST:PORT where the VMM listens.',
    },
  },
  DetachInput: {
    keys: {
      network: 'Omitted: every NIC of the guest.',
    },
  },
  ForwardInput: {
    text: '`host` and `guest` are endpoints as people write them:\n- host side: `8080`, `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8000-8010`, `*:8080`, `auto` (a free one), `/run/app.sock`\n- guest side: `web:80`, `192.168.104.5:80`, `[fd00::5]:80`, `web:9000-9010`; for `reverse` a port of the gateway: `5000`',
    keys: {
      network: 'Omitted: the network of the guest, or the default one.',
      protocol: 'Default tcp.',
      direction: 'Default host: from the host to the guest.',
    },
  },
  RecordInput: {
    keys: {
      network: 'Omitted: the default network.',
      value: 'In zone file notation, e.g. `10 mail.lab.internal` for MX.',
    },
  },
  ShutdownInput: {
    keys: {
      networks: 'Default true: the networks stop too; false: the next daemon takes them over.',
    },
  },
  EventsQuery: {
    text: 'What of the events is wanted; everything that happens from now on without it.',
    keys: {
      after: 'First the events behind this id that are still known; `0`: all of them.',
      follow: '`false`: ends with what is known now.',
    },
  },
  ShapeSettings: {
    text: 'One direction. What is absent does not happen.',
    keys: {
      delayMs: 'Each frame comes so much later.',
      jitterMs: 'How far the delay of each frame strays from `delayMs`; frames overtake each other by it.',
      distribution: 'How it strays; default uniform. For the others `jitterMs` is the standard deviation.',
      lossPercent: 'So many frames are lost.',
      lossBurst: 'Losses come in bursts of so many frames on average.',
      duplicatePercent: 'So many frames come twice.',
      reorderPercent: 'These frames are overtaken by up to three others.',
      corruptPercent: 'One bit of these frames is turned over.',
      rateBps: 'Bits in a second.',
      limitBytes: 'Bytes that may wait for the rate; default: what leaves in 100 ms, at least 16 KiB.',
      partition: 'Nothing passes.',
      seed: 'The same seed and the same frames: the same faults.',
    },
  },
  ShapeInput: {
    keys: {
      delayMs: 'Each frame comes so much later.',
      jitterMs: 'How far the delay of each frame strays from `delayMs`; frames overtake each other by it.',
      distribution: 'How it strays; default uniform. For the others `jitterMs` is the standard deviation.',
      lossPercent: 'So many frames are lost.',
      lossBurst: 'Losses come in bursts of so many frames on average.',
      duplicatePercent: 'So many frames come twice.',
      reorderPercent: 'These frames are overtaken by up to three others.',
      corruptPercent: 'One bit of these frames is turned over.',
      rateBps: 'Bits in a second.',
      limitBytes: 'Bytes that may wait for the rate; default: what leaves in 100 ms, at least 16 KiB.',
      partition: 'Nothing passes.',
      seed: 'The same seed and the same frames: the same faults.',
      network: "Omitted: that of the guest's first NIC.",
      peer: 'Another guest, or `gateway`; omitted: whoever is at the other end.',
      direction: '`from`: what the guest sends; `to`: what it receives. Default both; the other one stays as it is.',
    },
  },
  ShapeView: {
    text: 'Seen from `guest`; a shape between two guests is one, whichever of them it was asked for.',
    keys: {},
  },
  Problem: {
    keys: {
      type: '`urn:vmlan:error:CODE`.',
      code: 'The row of the code table in core/errors.ts.',
      hint: 'The next step.',
    },
  },
  NicView: {
    keys: {
      key: '`GUEST/INDEX`.',
      aliasMac: 'The MAC on the wire when another guest of the network already carries `mac`.',
      ip: 'The IPv4 address kept for this NIC; null: one of the pool.',
      connected: 'The wanted state of the link.',
      state: '`waiting`: nobody is at the other end yet; `stopped`: the network does not run.',
      attachment: "How it was attached last; null: never, or by the network's common socket.",
      flows: 'Conversations that are open.',
    },
  },
  GuestView: {
    keys: {
      registered:
        'False: it came by a common socket and was never registered; its name is its DHCP host name or its MAC.',
      names: 'Names that DNS knows it by.',
    },
  },
  NetworkView: {
    keys: {
      driver: 'What moves the frames, and why this one.',
      problem: 'Why it failed, or why it could not be started.',
      hostAddress: "The host's own address on the segment, when it has one.",
      sockets: 'Sockets that any number of guests attach to; null while it does not run.',
      restarts: 'How often the network process was started again after it died.',
      counters:
        'What the datapath counts, by name; what never happened is left out. docs/limits.md says what some of them mean.',
      ping: 'true, or why guests cannot ping beyond the gateway.',
      warnings: 'Operational trouble of the running network, e.g. leases that cannot be stored.',
    },
  },
  LeaseView: {
    keys: {
      expiresMs: 'null: it does not run out.',
    },
  },
  ForwardView: {
    keys: {
      host: 'As in ForwardInput, written in full.',
      origin: '`config`: from networks.yaml; `api`: added live and kept.',
      connections: 'All that came since it listens, not those that are open; with UDP, clients.',
    },
  },
  AttachResult: {
    text: 'What to give the VMM, and which addresses the guest will have.',
    keys: {
      socket:
        'Where the VMM connects (`qemu-stream`), listens (`qemu-server`), sends to (`qemu-dgram`, `vfkit`); null for `netns`.',
      localSocket: 'The path that the VMM binds itself (`qemu-dgram`, `vfkit`).',
      interface: 'The interface inside the namespace.',
    },
  },
  HealthProblem: {
    text: 'One thing that is broken.',
    keys: {
      part: 'The forward or link that is missing; null: the network itself is concerned.',
      code: 'The row of the code table.',
      hint: 'The next step.',
    },
  },
  HealthView: {
    keys: {
      status: '`broken` is answered with status 503.',
      problems: 'Empty when all that should run does.',
    },
  },
  TokenView: {
    text: 'What requests over TCP carry as `Authorization: Bearer TOKEN`.',
    keys: {
      file: 'Where the daemon keeps it.',
      address: 'Where the API is served over TCP; null: it is not.',
    },
  },
  StatusView: {
    keys: {
      address: 'Where the API is served over TCP, e.g. `http://127.0.0.1:7117`; null: it is not.',
      defaultNetwork: 'Where a guest goes that names no network.',
      problems: 'What is broken, as `/healthz` tells it.',
    },
  },
  EventView: {
    text: 'One `data:` line of the event stream; the SSE `event:` is `type`, the SSE `id:` is `id`.',
    keys: {
      id: 'Grows, also over the start of another daemon.',
      type: '`events-missed`: what came between the id that the reader names and this one is not known any more.',
    },
  },
};
