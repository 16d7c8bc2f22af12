// `make play`: a room with both browsers, to look at and to spoil the line of. Prints what each sees every two seconds until interrupted.
//   --loss 2     percent of the datagrams lost both ways (in this network namespace: run it in one of your own)
//   --people 3   more people
//   --computer   the first of them offers a computer that may carry the call; what each change of hosts cost is printed

import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { Computer } from './rig/computer.mjs';
import { Lab } from './rig/lab.mjs';
import { watchFor } from './rig/wait.mjs';

const { values } = parseArgs({
  options: { loss: { type: 'string', default: '0' }, people: { type: 'string', default: '2' }, computer: { type: 'boolean' } },
});
const lab = new Lab('play');
const baton = await lab.baton();
const room = lab.room();
console.log(`${baton.url}/r/${room}`);
const people = [];
for (let index = 0; index < Number(values.people); index += 1) {
  people.push(await lab.join(`P${index + 1}`, index % 2 ? 'firefox' : 'chromium', baton.url, room));
}
if (values.computer) Computer.offer(lab, `${baton.url}/r/${room}`, 'P1');
const told = new Map();
if (Number(values.loss) > 0) lab.line(baton).lose(Number(values.loss));
const over = once(process, 'SIGINT').then(() => true);
while (!(await Promise.race([over, watchFor(2000)]))) {
  for (const person of people) {
    const { videos, connection, host, epoch, moves } = await person.report();
    const tiles = videos.map((video) => `p${video.participant} ${video.source} ${video.width}x${video.height}@${video.fps} freezes ${video.freezeCount}`);
    console.log(`${person.name} at ${host?.name} (term ${epoch}) ${connection.state} ${connection.srtpProfile}: ${tiles.join(', ')}`);
    for (const move of moves.slice(told.get(person) ?? 0)) console.log(`  ${JSON.stringify(move)}`);
    told.set(person, moves.length);
  }
}
await lab.close();
