/** The system's code of an error that node:fs threw, as `ENOSPC`; empty when it has none. */
export function errnoOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free space, and recording goes on',
  EDQUOT: 'the disk quota is used up; free space, and recording goes on',
  EFBIG: 'the file has reached the allowed size; raise the limit of file sizes (ulimit -f)',
  EMFILE: 'too many open files; each recording needs one, so raise the limit (ulimit -n)',
  ENFILE: 'the system has too many open files; raise its limit (fs.file-max)',
  EACCES: 'the folder is not writable; give the process write permission',
  EPERM: 'the folder is not writable; give the process write permission',
  EROFS: 'the file system is read-only; choose another folder',
  ENOENT: 'the folder was removed; it is made again, and the audio in it is missing',
  ELOOP: 'a file there is a symbolic link, which is never followed; remove it',
  EIO: 'the disk does not work; look at the system log',
};

/** A sentence for the operator. It names no interaction: ids do not belong in logs. */
export function faultReport(code: string, outDir: string): string {
  return `A recording in ${outDir} cannot be written (${code || 'no code'}): ${ADVICE[code] ?? 'check that the folder is writable'}.`;
}
