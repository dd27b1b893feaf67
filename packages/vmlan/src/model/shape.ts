/**
 * Shaping: faults on purpose on the frames of one guest, or between two, so that tests meet the networks of this world.
 *
 * Zone: control.  `from` and `to` are as the guest sees it: what it sends, and what it receives.
 */
import * as z from 'zod';
import { networkNameSchema } from './names.ts';

/** As a peer: the gateway, and all that lies beyond it. No guest may have this name (RESERVED_GUEST_NAMES). */
export const GATEWAY_PEER = 'gateway';
export const MAX_DELAY_MS = 60_000;
export const MIN_RATE_BPS = 1000;
export const MAX_RATE_BPS = 100e9;
const MAX_BURST = 1000;
const MIN_LIMIT_BYTES = 2000;
const MAX_LIMIT_BYTES = 32 * 1024 * 1024;
const MAX_SEED = 2 ** 32 - 1;

export type Distribution = 'uniform' | 'normal' | 'pareto';
export const DISTRIBUTIONS: readonly ['uniform', 'normal', 'pareto'] = ['uniform', 'normal', 'pareto'];

/** One direction. What is absent does not happen. */
export interface ShapeSettings {
  /** Each frame comes so much later. */
  readonly delayMs?: number | undefined;
  /** How far the delay of each frame strays from `delayMs`; frames overtake each other by it. */
  readonly jitterMs?: number | undefined;
  /** How it strays; default uniform. For the others `jitterMs` is the standard deviation. */
  readonly distribution?: Distribution | undefined;
  /** So many frames are lost. */
  readonly lossPercent?: number | undefined;
  /** Losses come in bursts of so many frames on average. */
  readonly lossBurst?: number | undefined;
  /** So many frames come twice. */
  readonly duplicatePercent?: number | undefined;
  /** These frames are overtaken by up to three others. */
  readonly reorderPercent?: number | undefined;
  /** One bit of these frames is turned over. */
  readonly corruptPercent?: number | undefined;
  /** Bits in a second. */
  readonly rateBps?: number | undefined;
  /** Bytes that may wait for the rate; default: what leaves in 100 ms, at least 16 KiB. */
  readonly limitBytes?: number | undefined;
  /** Nothing passes. */
  readonly partition?: boolean | undefined;
  /** The same seed and the same frames: the same faults. */
  readonly seed?: number | undefined;
}

const timeSchema = z.number().min(0, 'a delay is not negative').max(MAX_DELAY_MS, 'a delay is at most 60000 ms');
const percentSchema = z.number().min(0, 'a share is 0 to 100 percent').max(100, 'a share is 0 to 100 percent');

const settings = {
  delayMs: timeSchema.optional(),
  jitterMs: timeSchema.optional(),
  distribution: z.enum(DISTRIBUTIONS).optional(),
  lossPercent: percentSchema.optional(),
  lossBurst: z.number().min(1, 'a burst has at least one frame').max(MAX_BURST, 'at most 1000 frames').optional(),
  duplicatePercent: percentSchema.optional(),
  reorderPercent: percentSchema.optional(),
  corruptPercent: percentSchema.optional(),
  rateBps: z
    .number()
    .min(MIN_RATE_BPS, 'a rate is at least 1000 bits in a second')
    .max(MAX_RATE_BPS, 'a rate is at most 100 gigabits in a second')
    .optional(),
  limitBytes: z
    .int()
    .min(MIN_LIMIT_BYTES, 'a queue holds at least 2000 bytes, which is one frame')
    .max(MAX_LIMIT_BYTES, 'a queue holds at most 32 MiB')
    .optional(),
  partition: z.boolean().optional(),
  seed: z.int().min(0, 'a seed is 0 to 4294967295').max(MAX_SEED, 'a seed is 0 to 4294967295').optional(),
};

export const shapeSettingsSchema: z.ZodType<ShapeSettings, ShapeSettings> = z.object(settings);

export type ShapeDirection = 'from' | 'to' | 'both';

export interface ShapeInput extends ShapeSettings {
  /** Omitted: that of the guest's first NIC. */
  readonly network?: string | undefined;
  readonly guest: string;
  /** Another guest, or `gateway`; omitted: whoever is at the other end. */
  readonly peer?: string | undefined;
  /** `from`: what the guest sends; `to`: what it receives. Default both; the other one stays as it is. */
  readonly direction?: ShapeDirection | undefined;
}

/** Values without which others mean nothing. */
const NEEDS = [
  ['jitterMs', 'delayMs', 'jitter strays around a delay: give the delay, too'],
  ['distribution', 'jitterMs', 'a distribution is that of the jitter: give the jitter, too'],
  ['lossBurst', 'lossPercent', 'a burst is one of losses: give the loss, too'],
  ['limitBytes', 'rateBps', 'the limit is that of the queue before the rate: give the rate, too'],
] as const;

/** What does something by itself. */
const EFFECTS = [
  'delayMs',
  'lossPercent',
  'duplicatePercent',
  'reorderPercent',
  'corruptPercent',
  'rateBps',
  'partition',
] as const;

export const shapeInputSchema: z.ZodType<ShapeInput, ShapeInput> = z
  .strictObject({
    network: networkNameSchema.optional(),
    guest: z.string().min(1).max(128),
    peer: z.string().min(1).max(128).optional(),
    direction: z.enum(['from', 'to', 'both']).optional(),
    ...settings,
  })
  .superRefine((input, context) => {
    const refuse = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
    for (const [key, needed, message] of NEEDS) {
      if (input[key] !== undefined && input[needed] === undefined) refuse(key, message);
    }
    const effects = EFFECTS.filter((key) => input[key] !== undefined && input[key] !== false);
    if (effects.length === 0) refuse('shape', 'nothing to shape: give a delay, loss, rate … or partition');
    if (input.partition === true && effects.length > 1)
      refuse('partition', `a partition lets nothing pass, so ${effects[0]} has no meaning beside it`);
  });

/** The settings of an input, without what was left out. */
export function settingsOfInput(input: ShapeInput): ShapeSettings {
  const { network: _network, guest: _guest, peer: _peer, direction: _direction, ...given } = input;
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== false));
}

/** Seen from `guest`; a shape between two guests is one, whichever of them it was asked for. */
export interface ShapeView {
  readonly id: string;
  readonly network: string;
  readonly guest: string;
  readonly peer: string | null;
  readonly fromGuest: ShapeSettings | null;
  readonly toGuest: ShapeSettings | null;
}

export const shapeViewSchema: z.ZodType<ShapeView> = z.object({
  id: z.string(),
  network: z.string(),
  guest: z.string(),
  peer: z.string().nullable(),
  fromGuest: shapeSettingsSchema.nullable(),
  toGuest: shapeSettingsSchema.nullable(),
});
