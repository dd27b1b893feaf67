import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Nic } from './nic.ts';
import { Nics } from './nics.ts';

const nic = (key: string): Nic => new Nic(key, key.split('/')[0]!, true);

test('NICs are found by their key and by the name of their guest', () => {
  const nics = new Nics();
  const [web, other, db] = [nic('web/0'), nic('web/1'), nic('db/0')];
  for (const one of [web, other, db, web]) nics.add(one);
  assert.equal(nics.get('web/1'), other);
  assert.equal(nics.get('web/2'), undefined);
  assert.deepEqual([...nics.of('web')], [web, other]);
  assert.deepEqual([...nics.values()], [web, other, db]);
  assert.deepEqual([...nics.of('nobody')], []);
});

test('a new name takes the place of the old one', () => {
  const nics = new Nics();
  const [web, other] = [nic('web/0'), nic('web/1')];
  for (const one of [web, other]) nics.add(one);
  nics.rename(web, 'shop');
  assert.equal(web.guest, 'shop');
  assert.deepEqual([[...nics.of('web')], [...nics.of('shop')]], [[other], [web]]);
  nics.remove(web);
  assert.deepEqual([nics.get('web/0'), [...nics.of('shop')]], [undefined, []]);
  nics.rename(web, 'web');
  assert.deepEqual([...nics.of('web')], [other], 'who was removed is known by no name');
});
