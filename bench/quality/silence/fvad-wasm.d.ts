/** What is used of the package, which has no types of its own: libfvad, compiled by Emscripten. */
declare module '@echogarden/fvad-wasm' {
  interface Fvad {
    readonly HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(address: number): void;
    _fvad_new(): number;
    _fvad_free(handle: number): void;
    /** 0, or −1 for a mode that there is not. */
    _fvad_set_mode(handle: number, mode: number): number;
    _fvad_set_sample_rate(handle: number, hertz: number): number;
    /** 1 for speech, 0 for none, −1 for a frame of another length than 10, 20 or 30 ms. */
    _fvad_process(handle: number, samples: number, count: number): number;
  }
  export default function fvad(): Promise<Fvad>;
}
