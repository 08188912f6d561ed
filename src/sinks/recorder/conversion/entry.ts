import { parentPort, workerData } from 'node:worker_threads';
import { type ConversionRequest, convert } from './convert.js';

/** What conversionThread() runs: converts one recording. */
parentPort?.postMessage(await convert(workerData as ConversionRequest));
