/**
 * The patterns of everything that is named or written as text: networks, guests, interfaces, MAC addresses.
 *
 * Zone: control.  Names reach paths, interface names and DNS, so they are strict here and trusted everywhere else
 * (design: names that reach paths match a strict pattern).
 */
import * as z from 'zod';

/** Lima's identifier: letters and digits in groups joined by single dots, underscores or hyphens. */
const IDENTIFIER = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
export const MAX_IDENTIFIER_CHARS = 76;
/** RFC 1035 §2.3.1 as relaxed by RFC 1123 §2.1, lower case: a guest's name is a DNS label and a file name. */
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
export const MAX_LABEL_CHARS = 63;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
/** IFNAMSIZ - 1 (linux/if.h). */
export const MAX_INTERFACE_CHARS = 15;
const INTERFACE = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_*](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*$/i;

export const networkNameSchema: z.ZodType<string, string> = z
  .string()
  .max(MAX_IDENTIFIER_CHARS, `a network name has at most ${MAX_IDENTIFIER_CHARS} characters`)
  .regex(IDENTIFIER, 'a network name is letters and digits, joined by single dots, underscores or hyphens');

export const guestNameSchema: z.ZodType<string, string> = z
  .string()
  .max(MAX_LABEL_CHARS, `a guest name has at most ${MAX_LABEL_CHARS} characters`)
  .regex(
    DNS_LABEL,
    'a guest name is lower-case letters, digits and hyphens, and neither starts nor ends with a hyphen',
  );

export const interfaceNameSchema: z.ZodType<string, string> = z
  .string()
  .max(MAX_INTERFACE_CHARS, `an interface name has at most ${MAX_INTERFACE_CHARS} characters`)
  .regex(INTERFACE, 'an interface name starts with a letter or digit and has no spaces or slashes');

/** A unicast MAC address, written in lower case with colons on output; upper case and hyphens are read too. */
export const macSchema: z.ZodType<string, string> = z
  .string()
  .transform((text) => text.toLowerCase().replaceAll('-', ':'))
  .refine((text) => MAC.test(text), 'a MAC address looks like 52:54:00:12:34:56')
  .refine(
    (text) => !MAC.test(text) || (Number.parseInt(text.slice(0, 2), 16) & 1) === 0,
    'a guest needs a unicast MAC address: the lowest bit of its first byte is 0',
  )
  .refine((text) => text !== '00:00:00:00:00:00', 'the zero MAC address names nobody');

export const hostNameSchema: z.ZodType<string, string> = z
  .string()
  .transform((text) => text.toLowerCase().replace(/\.$/, ''))
  .refine((text) => HOST_NAME.test(text), 'a host name is labels of letters, digits and hyphens, joined by dots');

export const portSchema: z.ZodType<number, number> = z
  .int('a port is a whole number')
  .min(1, 'a port is 1 to 65535')
  .max(65535, 'a port is 1 to 65535');

export const isNetworkName = (text: string): boolean => networkNameSchema.safeParse(text).success;
export const isGuestName = (text: string): boolean => guestNameSchema.safeParse(text).success;
