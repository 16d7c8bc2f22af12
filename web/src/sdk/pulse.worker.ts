// The watch over the hearts of hosts, away from a main thread that may be busy or asleep.

import { type News, type Order, watchPulses } from './pulses.ts';

interface Scope {
  postMessage(news: News): void;
  addEventListener(type: 'message', heard: (event: MessageEvent<Order>) => void): void;
}
const scope = self as unknown as Scope;
const carryOut = watchPulses((news) => scope.postMessage(news));
scope.addEventListener('message', ({ data }) => carryOut(data));
