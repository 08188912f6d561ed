/** Reads the audio of a file as 16-bit PCM, whatever it is stored as. */
export interface PcmReader {
  readonly sampleRate: number;
  readonly channels: number;
  /** Length, in samples of each channel. */
  readonly samples: number;
  /**
   * Fills `into` with the next samples, interleaved; returns how many of each channel, 0 at the end.
   * @throws TrunklineError FILE_INVALID at what is damaged.
   */
  read(into: Int16Array): number;
  /** read() goes on with that sample. Of Opus, what comes then is not bit for bit what it is when read from the start. */
  seek(sample: number): void;
  close(): void;
}
