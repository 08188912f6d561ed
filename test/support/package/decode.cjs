// Runs in a project that has trunkline installed, under the Node of whatever platform is tested: decodes one call of each
// codec and prints a line of JSON with the backend and every sample. Argument: the setting `native`.
const { createEngine } = require('trunkline');

const PACKETS = 25;

function tone(samples, rate) {
  return Int16Array.from({ length: samples }, (_, n) => 12_000 * Math.sin((2 * Math.PI * 440 * n) / rate));
}

async function opusPackets() {
  // A dependency of trunkline, which has ES modules only.
  const { Application, createEncoder } = await import('libopus-wasm');
  const encoder = await createEncoder({ sampleRate: 48_000, channels: 1, application: Application.Voip });
  const pcm = tone(960 * PACKETS, 48_000);
  return Array.from({ length: PACKETS }, (_, n) => encoder.encode(pcm.subarray(n * 960, (n + 1) * 960)));
}

const CALLS = {
  pcmu: { step: 160, packets: Array.from({ length: PACKETS }, (_, n) => new Uint8Array(160).map((_, i) => n * 7 + i)) },
  l16: {
    step: 160,
    packets: Array.from({ length: PACKETS }, (_, n) => {
      const pcm = Buffer.from(tone(160 * PACKETS, 8000).buffer).subarray(n * 320, (n + 1) * 320);
      return Uint8Array.from(Buffer.from(pcm).swap16());
    }),
  },
};

async function main() {
  const engine = await createEngine({ native: process.argv[2], shards: 1, playoutDelayMs: 0 });
  const samples = {};
  engine.on('frame', (frame) => {
    const pcm = frame.copyPcm();
    // biome-ignore lint/suspicious/noAssignInExpressions: the list is made with the first frame.
    const list = (samples[frame.info.interactionId] ??= []);
    list.push(...new Int16Array(pcm.buffer, pcm.byteOffset, pcm.byteLength / 2));
  });
  const calls = { ...CALLS, opus: { step: 960, packets: await opusPackets() } };
  for (const [codec, { step, packets }] of Object.entries(calls)) {
    const call = engine.open(codec, { codec });
    packets.forEach((payload, n) => {
      call.push({ sequenceNumber: n, timestamp: n * step, payload });
    });
    call.end();
  }
  await engine.close();
  console.log(JSON.stringify({ node: process.version, arch: process.arch, backend: engine.backend, samples }));
}

main();
