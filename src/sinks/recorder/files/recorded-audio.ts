import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { JoinedChannels, OneChannel } from '../../../audio/files/channels.js';
import type { PcmReader } from '../../../audio/files/pcm-reader.js';
import { TrunklineError } from '../../../core/errors.js';
import { readPcmFile } from './file-source.js';
import { segmentsOf } from './manifest.js';
import { readCheckpoint, readManifest } from './manifest-file.js';

/** As the recorder names audio files. */
const STORED_NAME = /^audio(-\d{1,5})?(-external|-internal)?\.(wav|flac|opus)(\.enc)?$/;

/** Whether a name can be that of an audio file. */
export function isStoredName(name: string): boolean {
  return STORED_NAME.test(name);
}

/**
 * The audio of a recording's folder, or of one audio file, as PCM, whatever it is stored as. Where each channel has a file
 * of its own, both are read as one.
 * @param segment which of several audio files, counted from 1. @param channel that one alone; all of them when absent.
 * @throws TrunklineError FILE_FAILED when there is none; FILE_INVALID when it is damaged, encrypted or has no such channel.
 */
export function readRecordedAudio(path: string, segment = 1, channel?: number): PcmReader {
  const files = audioFilesOf(path, segment);
  const chosen = channel !== undefined && files.length > 1 ? [fileOf(files, channel)] : files;
  const readers = openAll(chosen);
  const [first, ...others] = readers;
  if (others.length > 0) return new JoinedChannels([first, ...others]);
  if (channel === undefined || chosen !== files) return first;
  if (channel >= first.channels) {
    first.close();
    throw noChannel(channel, first.channels);
  }
  return first.channels === 1 ? first : new OneChannel(first, channel);
}

/** The paths of the audio files: one, or one a channel. @throws TrunklineError FILE_FAILED, FILE_INVALID */
export function audioFilesOf(path: string, segment = 1): readonly [string, ...string[]] {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new TrunklineError('FILE_FAILED', `Cannot read ${path}: there is no such file.`);
  if (!found.isDirectory()) return [path];
  const manifest = readCheckpoint(path) ?? readManifest(path);
  const stored = manifest && segmentsOf(manifest)[segment - 1];
  if (stored === undefined) {
    throw new TrunklineError(
      'FILE_FAILED',
      manifest === undefined
        ? `${path} has no session.json; name the audio file itself.`
        : `${path} has no part ${segment}.`,
    );
  }
  const { file, channelFiles = [file] } = stored;
  const [first, ...others] = channelFiles.map((name) => join(path, checkedName(path, name)));
  return [first ?? join(path, checkedName(path, file)), ...others];
}

/** A name from a file that others may have written must not lead out of the folder. */
function checkedName(folder: string, name: string): string {
  if (basename(name) === name && isStoredName(name)) return name;
  throw new TrunklineError('FILE_INVALID', `${folder}: ${JSON.stringify(name)} is no name of an audio file.`);
}

function fileOf(files: readonly string[], channel: number): string {
  const file = files[channel];
  if (file === undefined) throw noChannel(channel, files.length);
  return file;
}

function noChannel(channel: number, channels: number): TrunklineError {
  return new TrunklineError('FILE_INVALID', `There is no channel ${channel}: it has ${channels}, counted from 0.`);
}

function openAll(paths: readonly string[]): [PcmReader, ...PcmReader[]] {
  const readers: PcmReader[] = [];
  try {
    for (const path of paths) readers.push(readPcmFile(path));
    const [first, ...others] = readers;
    if (first === undefined) throw new TrunklineError('FILE_FAILED', 'There is no audio.');
    return [first, ...others];
  } catch (thrown) {
    for (const reader of readers) reader.close();
    throw thrown;
  }
}
