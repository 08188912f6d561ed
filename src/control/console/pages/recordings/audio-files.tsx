import { api, withQuery } from '../../api/client.js';
import type { RecordingDetail, RecordingSegment } from '../../api/contract.js';
import { Action } from '../../parts/action.js';
import { Panel } from '../../parts/panel.js';
import { download } from './download.js';

const ENCRYPTED_EXTENSION = '.enc';
/** What follows the number of an audio file. */
const CHANNEL_AND_TYPE = /(-external|-internal)?\.\w+$/;
const CHANNEL_ENDINGS = ['-external', '-internal'];

interface AudioDownload {
  readonly file: string;
  readonly path: string;
}

/** Each file of a recording as it is stored. What is stored as something else can be had as WAV, and each of two channels alone. */
export function FilesPanel({ recording }: { recording: RecordingDetail }) {
  const { id, interactionId } = recording;
  const manifest = { file: 'session.json', path: `${api('recordings', id)}/session.json` };
  return (
    <Panel title="Files">
      <div class="actions">
        {[...audioDownloads(recording), manifest].map(({ file, path }) => (
          <Action key={file} icon="download" needs="listener" run={() => download(path, `${interactionId}-${file}`)}>
            {file}
          </Action>
        ))}
      </div>
      <p class="hint">Playing and downloading are written to the audit log with your name.</p>
    </Panel>
  );
}

/** What a browser plays: one that is WAV as it is, and of any other the WAV that the node makes of it. */
export function playedPath(recording: RecordingDetail, segment: number, channel: number | undefined): string {
  const file = segmentsOf(recording)[segment - 1]?.file ?? 'audio.wav';
  return channel === undefined && file.endsWith('.wav')
    ? storedPath(recording, segment)
    : wavPath(recording, segment, channel);
}

function audioDownloads(recording: RecordingDetail): AudioDownload[] {
  return segmentsOf(recording).flatMap((segment, at) => {
    const stored = storedDownloads(recording, segment, at + 1);
    return recording.encrypted === true ? stored : [...stored, ...wavDownloads(recording, segment, at + 1)];
  });
}

/** Opus of two channels has a file for each; the segment names the first. */
function storedDownloads(recording: RecordingDetail, { file }: RecordingSegment, segment: number): AudioDownload[] {
  const plain = file.endsWith(ENCRYPTED_EXTENSION) ? file.slice(0, -ENCRYPTED_EXTENSION.length) : file;
  if (!/-external\.\w+$/.test(plain)) return [{ file, path: storedPath(recording, segment) }];
  return CHANNEL_ENDINGS.map((ending, channel) => ({
    file: file.replace('-external', ending),
    path: storedPath(recording, segment, channel),
  }));
}

function wavDownloads(recording: RecordingDetail, { file, channels }: RecordingSegment, segment: number) {
  const name = file.replace(CHANNEL_AND_TYPE, '');
  const whole = file.endsWith('.wav') ? [] : [{ file: `${name}.wav`, path: wavPath(recording, segment, undefined) }];
  const alone = CHANNEL_ENDINGS.map((ending, channel) => ({
    file: `${name}${ending}.wav`,
    path: wavPath(recording, segment, channel),
  }));
  return channels === 2 ? [...whole, ...alone] : whole;
}

function segmentsOf({ segments = [], channels = 1 }: RecordingDetail): readonly RecordingSegment[] {
  return segments.length > 0 ? segments : [{ file: 'audio.wav', startMs: 0, channels }];
}

function storedPath({ id, encrypted }: RecordingDetail, segment: number, channel?: number): string {
  const file = encrypted === true ? 'encrypted' : 'audio.wav';
  return withQuery(`${api('recordings', id)}/${file}`, { segment: numberOf(segment), channel });
}

function wavPath({ id }: RecordingDetail, segment: number, channel: number | undefined): string {
  return withQuery(`${api('recordings', id)}/audio.wav`, { format: 'wav', segment: numberOf(segment), channel });
}

/** The first needs none. */
function numberOf(segment: number): number | undefined {
  return segment > 1 ? segment : undefined;
}
