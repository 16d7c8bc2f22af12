// A box that shows one stream at a time. Owns: its video elements, and that a picture stays until the next one is really there.
// Does not own: which stream it is.

/** A new stream begins to be shown with its third picture: the first ones of a decoder and of a route come unevenly. */
const SETTLED = 3;
/** It is not waited for any longer; a still screen has no third picture. */
const SETTLE_MS = 200;
/** The stream on top gave nothing for so long: any picture is better now. */
const LATE_MS = 60;

/** A picture that was shown. */
export interface Picture {
  /** When, in milliseconds of `performance.now()`. */
  readonly at: number;
  /** How many were shown since the last one that was told of. */
  readonly skipped: number;
  /** In pixels. */
  readonly height: number;
}

/** Shows received video without a blank moment between two streams. */
export class Surface {
  readonly #box: HTMLElement;
  readonly #seen: (picture: Picture, stream: MediaStream) => void;
  #front: HTMLVideoElement | null = null;
  #back: HTMLVideoElement | null = null;
  #newest = Number.NEGATIVE_INFINITY;

  /** `seen` is called for pictures shown. */
  constructor(box: HTMLElement, seen: (picture: Picture, stream: MediaStream) => void) {
    this.#box = box;
    this.#seen = seen;
  }

  show(stream: MediaStream | null): void {
    const newest = this.#back ?? this.#front;
    if ((newest?.srcObject ?? null) === stream) return;
    this.#drop(this.#back);
    this.#back = null;
    if (stream === null) {
      this.#drop(this.#front);
      this.#front = null;
      return;
    }
    if (this.#front?.srcObject === stream) return;
    this.#back = this.#element(stream);
  }

  close(): void {
    this.show(null);
  }

  #element(stream: MediaStream): HTMLVideoElement {
    const video = document.createElement('video');
    video.muted = true;
    video.autoplay = true;
    video.playsInline = true;
    video.disablePictureInPicture = true;
    video.tabIndex = -1;
    video.dataset['at'] = 'back';
    video.srcObject = stream;
    const asked = performance.now();
    let presented = 0;
    let fresh = 0;
    const frame: VideoFrameRequestCallback = (now, picture) => {
      if (video !== this.#front && video !== this.#back) return;
      video.requestVideoFrameCallback(frame);
      // Firefox first repeats the last picture of a stream that played before.
      if (video === this.#back && (picture.receiveTime ?? asked) >= asked) {
        fresh += 1;
        const isLate = this.#front === null || now - this.#newest >= LATE_MS;
        if (fresh >= SETTLED || isLate) this.#swap();
        else if (fresh === 1) setTimeout(() => { if (video === this.#back) this.#swap(); }, SETTLE_MS);
      }
      if (video === this.#front) {
        this.#newest = now;
        const skipped = presented === 0 ? 0 : Math.max(0, picture.presentedFrames - presented - 1);
        this.#seen({ at: picture.presentationTime, skipped, height: picture.height }, stream);
      }
      presented = picture.presentedFrames;
    };
    video.requestVideoFrameCallback(frame);
    // No picture is ever presented in a hidden tab.
    video.addEventListener('loadeddata', () => {
      if (document.hidden && video === this.#back) this.#swap();
    });
    this.#box.append(video);
    video.play().catch(() => {
      // Removed before it played; a muted video is never refused.
    });
    return video;
  }

  #swap(): void {
    this.#drop(this.#front);
    this.#front = this.#back;
    this.#back = null;
    if (this.#front) this.#front.dataset['at'] = 'front';
  }

  #drop(video: HTMLVideoElement | null): void {
    if (!video) return;
    video.srcObject = null;
    video.remove();
  }
}
