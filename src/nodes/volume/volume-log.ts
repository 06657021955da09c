/** The part of a logger that the driver uses; a pino logger fits. */
export interface VolumeLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export const silentLog: VolumeLog = { info() {}, warn() {} };
