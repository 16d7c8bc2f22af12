// Looks at a page ten times a second, from within, and turns what it saw into samples of a scenario (`tests/src/lab/figures.rs`).

/** Runs in the page. */
function look() {
  window.samples = [];
  let isBusy = false;
  setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      const report = await window.baton?.report();
      window.baton?.resetGaps();
      if (report) {
        const { me, connection, line, lines, videos, audios } = report;
        window.samples.push({
          at: Date.now(), me, connected: connection.state === 'connected', sent: connection.bytesSent, received: connection.bytesReceived,
          estimate: line?.estimate ?? null, lines, videos, audios,
        });
      }
    } finally {
      isBusy = false;
    }
  }, 100);
}

export const begin = (person) => person.evaluate(look);

/** Everything seen so far. As text: of an object that occurs twice WebDriver BiDi says the second time only that it did. */
export const seen = async (person) => JSON.parse(await person.evaluate(() => JSON.stringify(window.samples ?? [])));

/**
 * Samples as figures need them. `names`: by number of the participant. `voice`: whose voice is listened to. `waits`: milliseconds that packets
 * waited on the line, with times.
 */
export function samplesOf(looks, { start, names, voice, waits }) {
  const next = waits[Symbol.iterator]();
  let wait = next.next();
  return looks.map((seenNow) => {
    let [queue, downloaded] = [0, 0];
    while (!wait.done && wait.value.at <= seenNow.at) {
      queue = Math.max(queue, wait.value.queue);
      downloaded = wait.value.downloaded;
      wait = next.next();
    }
    const heard = seenNow.audios.find(({ participant }) => names.get(participant) === voice)
      ?? seenNow.audios.toSorted((a, b) => b.packetsReceived - a.packetsReceived)[0];
    return {
      t: (seenNow.at - start) / 1000, queue, downloaded, estimate: seenNow.estimate, received: seenNow.received, sent: seenNow.sent,
      connected: seenNow.connected,
      made_up: (heard?.concealedSamples ?? 0) / 48, played: (heard?.totalSamples ?? 0) / 48,
      buffered: heard?.jitterBufferDelay ?? 0, emitted: heard?.jitterBufferEmitted ?? 0,
      pictures: Object.fromEntries(seenNow.videos.filter(({ source }) => source === 'camera').map((video) => [names.get(video.participant) ?? '?', {
        width: video.framesDecoded > 0 ? video.width : 0, frames: video.framesDecoded, freezes: video.freezeCount, gap: video.longestGapMs,
        paused: video.paused === 'bandwidth',
      }])),
      lines: Object.fromEntries(seenNow.lines.map(({ participant, cause }) => [names.get(participant) ?? '?', cause])),
    };
  });
}
