import { CODEC_ID } from '../core/codec.js';
import { ConcealmentState } from '../media/concealment.js';
import { decodePcma, decodePcmu } from '../media/g711.js';
import { decodeL16, decodeL16Le } from '../media/l16.js';
import { OpusDecoder, opusPacketSamples } from '../media/opus.js';
import { initSilence } from '../media/silence.js';
import { STREAM, type StreamTable } from '../ring/stream-table.js';
import type { ShardData, SilenceSettings } from './shard-data.js';
