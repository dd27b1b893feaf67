/**
 * What a service manager is told, as sd_notify(3) has it: that the daemon serves, is about to end, and is alive.
 *
 * Zone: control.  The variables are taken out of the environment, so that no other process speaks for the daemon.
 * Without NOTIFY_SOCKET nothing is told, and nothing of the FFI is loaded.
 */
import type { Logger } from '../core/logger.ts';

/** sd_watchdog_enabled(3): to be told every half of the time. */
const WATCHDOG_SHARE = 2;
const MICROSECONDS_PER_MS = 1000;
const NANOSECONDS_PER_US = 1000n;

interface Sender extends Disposable {
  send(text: string): boolean;
}

export class ServiceNotice implements Disposable {
  readonly #sender: Sender | null;
  readonly #watchdogMs: number;
  #watchdog: NodeJS.Timeout | null = null;

  private constructor(sender: Sender | null, watchdogMs: number) {
    this.#sender = sender;
    this.#watchdogMs = watchdogMs;
  }

  /** A socket that cannot be had is logged, and the daemon runs without. */
  static async open(env: NodeJS.ProcessEnv, logger: Logger): Promise<ServiceNotice> {
    const { NOTIFY_SOCKET: path, WATCHDOG_USEC: watchdogUs, WATCHDOG_PID: watchdogPid } = env;
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
    if (!path) return new ServiceNotice(null, 0);
    const isOurs = watchdogPid === undefined || watchdogPid === String(process.pid);
    const watchdogMs = isOurs ? Number(watchdogUs ?? 0) / MICROSECONDS_PER_MS / WATCHDOG_SHARE : 0;
    try {
      const { NotifySocket } = await import('../sys/notify-socket.ts');
      return new ServiceNotice(new NotifySocket(path), Number.isFinite(watchdogMs) ? watchdogMs : 0);
    } catch (error) {
      logger.warn('the service manager cannot be told anything', { error });
      return new ServiceNotice(null, 0);
    }
  }

  starting(status: string): void {
    this.#sender?.send(`STATUS=${status}`);
  }

  /** From here on the watchdog is fed, as long as `isHealthy` says so. */
  ready(status: string, isHealthy: () => Promise<boolean>): void {
    this.#sender?.send(`READY=1\nSTATUS=${status}`);
    if (this.#sender === null || this.#watchdogMs <= 0) return;
    const feed = async (): Promise<void> => {
      if (await isHealthy().catch(() => false)) this.#sender?.send('WATCHDOG=1');
    };
    this.#watchdog ??= setInterval(() => void feed(), this.#watchdogMs).unref();
  }

  /** sd_notify(3) wants the time of CLOCK_MONOTONIC with it. */
  reloading(until: Promise<unknown>): void {
    if (this.#sender === null) return;
    this.#sender.send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / NANOSECONDS_PER_US}`);
    void until.finally(() => this.#sender?.send('READY=1'));
  }

  stopping(): void {
    clearInterval(this.#watchdog ?? undefined);
    this.#sender?.send('STOPPING=1\nSTATUS=stopping; networks run on unless they were told to stop');
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watchdog ?? undefined);
    this.#sender?.[Symbol.dispose]();
  }
}
