/**
 * A shape as the daemon keeps it.
 *
 * Zone: control.
 */
import * as z from 'zod';
import { shapeSettingsSchema } from './shape.ts';
import type { ShapeView } from './shape.ts';

/** NICs are known by their keys, so that a MAC alone never is one. */
export interface StoredShape extends ShapeView {
  readonly nic: string;
  readonly peerNic: string | null;
}

export const storedShapeSchema: z.ZodType<StoredShape> = z.object({
  id: z.string(),
  network: z.string(),
  guest: z.string(),
  peer: z.string().nullable(),
  nic: z.string(),
  peerNic: z.string().nullable(),
  fromGuest: shapeSettingsSchema.nullable(),
  toGuest: shapeSettingsSchema.nullable(),
});
