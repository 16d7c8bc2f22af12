// One call and what the page adds to it. Owns: toggles, panels, words for what happens. Does not own: looks.

import {
  Call, type CallOptions, type CallState, type Captured, Meter, type Notice, type Source, capture, captureScreen,
} from '../sdk/index.ts';
import { t, tn } from './i18n/t.svelte.ts';
import { prefs } from './prefs.svelte.ts';
import { type Carrier, carrierOf } from './pure/carrier.ts';

export type Panel = 'none' | 'chat' | 'people';

export interface Start {
  readonly name: string;
  readonly media: Captured;
  readonly isMuted: boolean;
  readonly cameraIsOff: boolean;
}

const TOAST_MS = 5000;
const BATCH_MS = 1200;
/** Louder than this while muted is somebody talking to nobody. */
const TALKING = 0.05;

export class Session {
  readonly call: Call;
  state = $state.raw<CallState>() as CallState;
  panel = $state<Panel>('none');
  pinned = $state<string | null>(null);
  speakerView = $state(false);
  toasts = $state<readonly { id: number; text: string }[]>([]);
  polite = $state('');
  assertive = $state('');
  isSpeaking = $state(false);
  #read = $state(0);
  #carrier: Carrier | null = null;
  #epoch: number | undefined;
  #count = 0;
  #joined: string[] = [];
  #joinedTimer: ReturnType<typeof setTimeout> | undefined;
  #meter: Meter | null = null;
  #meterTimer: ReturnType<typeof setInterval> | undefined;
  #busy = new Set<Source>();

  constructor(options: CallOptions, start: Start) {
    this.call = new Call(options);
    this.state = this.call.state;
    this.call.on('state', (state) => {
      const shared = this.state.own.has('screen');
      this.state = state;
      this.#followCarrier(state);
      if (this.panel === 'chat') this.#read = state.chat.length;
      if (state.ending) this.close();
      else if (shared && !state.own.has('screen')) this.polite = '';
    });
    this.call.on('notice', (notice) => this.#tell(notice));
    const { microphone, camera } = start.media;
    if (microphone) void this.call.publish('microphone', microphone, start.isMuted);
    if (camera && !start.cameraIsOff) void this.call.publish('camera', camera);
    else camera?.stop();
    if (microphone) this.#listen(microphone);
    if (prefs.speakerId) this.call.setSpeaker(prefs.speakerId);
    this.call.open();
  }

  get isMuted(): boolean {
    return this.state.own.get('microphone')?.muted ?? true;
  }

  get cameraIsOff(): boolean {
    return this.state.own.get('camera')?.muted ?? true;
  }

  get isSharing(): boolean {
    return this.state.own.has('screen');
  }

  get unread(): number {
    return this.state.chat.slice(this.#read).filter((line) => line.from !== this.state.me).length;
  }

  can(source: Source): boolean {
    return this.state.grants?.publish.includes(source) ?? true;
  }

  show(panel: Panel): void {
    this.panel = this.panel === panel ? 'none' : panel;
    this.#read = this.state.chat.length;
  }

  async toggleMicrophone(): Promise<void> {
    await this.#once('microphone', async () => {
      if (this.state.own.has('microphone')) return this.call.mute('microphone', !this.isMuted);
      const { microphone, problem } = await capture({ microphone: true, camera: false, microphoneId: prefs.microphoneId });
      if (microphone) await this.useMicrophone(microphone, false);
      else if (problem) this.toast(t(`problem_${problem}`));
    });
  }

  async toggleCamera(): Promise<void> {
    await this.#once('camera', async () => {
      if (!this.cameraIsOff) return this.call.mute('camera', true);
      const { camera, problem } = await capture({ microphone: false, camera: true, cameraId: prefs.cameraId, isSmall: prefs.smallCamera });
      if (camera) await this.call.publish('camera', camera);
      else if (problem) this.toast(t(`problem_${problem}`));
    });
  }

  async toggleScreen(): Promise<void> {
    await this.#once('screen', async () => {
      if (this.isSharing) return this.#stopScreen();
      try {
        const screen = await captureScreen();
        if (!screen) return;
        screen.video.addEventListener('ended', () => void this.#stopScreen());
        await this.call.publish('screen', screen.video);
        if (screen.audio) await this.call.publish('screen_audio', screen.audio);
      } catch (error) {
        this.toast(t('shareFailed', { message: error instanceof Error ? error.message : '' }));
      }
    });
  }

  /** Takes another microphone, muted as the one before. */
  async useMicrophone(track: MediaStreamTrack, muted = this.isMuted): Promise<void> {
    const before = this.state.own.get('microphone')?.track;
    await this.call.publish('microphone', track, muted);
    before?.stop();
    this.#listen(track);
  }

  async useCamera(track: MediaStreamTrack): Promise<void> {
    const before = this.state.own.get('camera')?.track;
    await this.call.publish('camera', track);
    before?.stop();
  }

  toast(text: string): void {
    const id = ++this.#count;
    this.toasts = [...this.toasts.slice(-3), { id, text }];
    this.polite = text;
    setTimeout(() => { this.toasts = this.toasts.filter((toast) => toast.id !== id); }, TOAST_MS);
  }

  close(): void {
    clearInterval(this.#meterTimer);
    clearTimeout(this.#joinedTimer);
    this.#meter?.close();
    this.#meter = null;
  }

  /** Says it when the call moved, when it begins to, and when it did not. */
  #followCarrier(state: CallState): void {
    const [before, now] = [this.#carrier, carrierOf(state)];
    if (before?.is === now?.is && before?.name === now?.name) return;
    this.#carrier = now;
    const epochs = [this.#epoch, state.host?.epoch];
    this.#epoch = state.host?.epoch;
    if (!before || !now) return;
    if (now.is === 'moving') this.polite = now.toServer ? t('movingToServer') : t('movingTo', { name: now.name });
    else if (epochs[0] === epochs[1]) {
      if (before.is === 'moving') this.toast(t('stayedHere'));
    } else this.toast(now.is === 'server' ? t('nowViaServer') : t('nowHostedBy', { name: now.name }));
  }

  async #stopScreen(): Promise<void> {
    if (!this.isSharing) return;
    await this.call.unpublish('screen');
    if (this.state.own.has('screen_audio')) await this.call.unpublish('screen_audio');
  }

  /** A second press while the first still waits for a device means nothing. */
  async #once(source: Source, task: () => Promise<void>): Promise<void> {
    if (this.#busy.has(source)) return;
    this.#busy.add(source);
    try {
      await task();
    } finally {
      this.#busy.delete(source);
    }
  }

  #listen(track: MediaStreamTrack): void {
    this.close();
    // A copy, because a muted track is silent here too.
    const copy = track.clone();
    copy.enabled = true;
    const meter = new Meter(copy);
    this.#meter = meter;
    let told = false;
    let quiet = 0;
    this.#meterTimer = setInterval(() => {
      if (track.readyState === 'ended') {
        copy.stop();
        this.close();
        return;
      }
      const level = meter.level();
      quiet = level >= 0.02 ? 0 : quiet + 1;
      this.isSpeaking = quiet < 5 && !this.isMuted;
      if (!this.isMuted) told = false;
      else if (level > TALKING && !told) {
        told = true;
        this.toast(t('mutedTalk'));
      }
    }, 150);
  }

  #tell(notice: Notice): void {
    switch (notice.what) {
      case 'joined':
        this.#joined.push(notice.name);
        clearTimeout(this.#joinedTimer);
        this.#joinedTimer = setTimeout(() => {
          const [name = '', ...others] = this.#joined.splice(0);
          this.toast(others.length === 0 ? t('joined', { name }) : tn('joinedMany', others.length, { name }));
        }, BATCH_MS);
        return;
      case 'gone':
        return this.toast(t('gone', { name: notice.name }));
      case 'muted_by':
        this.assertive = t('mutedBy', { name: notice.name });
        return this.toast(this.assertive);
      case 'slow_line':
        return this.toast(t(`line_${notice.cause}`));
      case 'refused':
        return this.toast(t('refused', { message: notice.message }));
      default:
        notice satisfies never;
    }
  }
}
