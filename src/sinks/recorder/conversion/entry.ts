import { parentPort, workerData } from 'node:worker_threads';
import { type ConversionRequest, convertHere } from './convert.js';

/** What conversionThread() runs: converts one recording. */
const { folder, manifest, fileMode } = workerData as ConversionRequest;
parentPort?.postMessage(await convertHere(folder, manifest, fileMode));
