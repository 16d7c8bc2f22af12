import type { Call, Report } from '../sdk/index.ts';

declare global {
  interface Window {
    /** For programs that drive the page. Set while there is a call, and after it. */
    baton?: {
      readonly call: Call;
      /** What the call measures now. */
      report(): Promise<Report>;
      /** Longest gaps count from here. */
      resetGaps(): void;
    };
  }
}
