import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { request, urlOf } from '../../api/client.js';
import { token } from '../../api/session.js';

interface Player {
  readonly element: ComponentChildren;
  readonly playing: boolean;
  readonly loading: boolean;
  /** Seconds from the start. */
  readonly at: number;
  readonly speed: number;
  readonly error: unknown;
  toggle(): Promise<void>;
  seek(seconds: number): Promise<void>;
  setSpeed(speed: number): void;
}

/**
 * Plays a file through an `<audio>` element. Without tokens the element reads it by ranges as it plays; with a token,
 * which such requests cannot carry, the page fetches the file when it is first wanted.
 */
export function usePlayer(path: string): Player {
  const audio = useRef<HTMLAudioElement>(null);
  const blobUrl = useRef<string | undefined>(undefined);
  const [state, setState] = useState({ playing: false, loading: false, at: 0, speed: 1, error: undefined as unknown });
  const change = (next: Partial<typeof state>) => setState((before) => ({ ...before, ...next }));

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const free = event.target === document.body || (event.target as HTMLElement | null)?.id === 'main';
      if (event.key !== ' ' || !free) return;
      event.preventDefault();
      void toggle();
    };
    document.addEventListener('keydown', pressed);
    return () => {
      document.removeEventListener('keydown', pressed);
      if (blobUrl.current !== undefined) URL.revokeObjectURL(blobUrl.current);
    };
  }, []);

  const load = async (element: HTMLAudioElement) => {
    if (element.src !== '') return;
    if (token() === undefined) {
      element.src = urlOf(path);
      return;
    }
    change({ loading: true, error: undefined });
    try {
      const response = await request(path, { timeoutMs: 0 });
      blobUrl.current = URL.createObjectURL(await response.blob());
      element.src = blobUrl.current;
    } finally {
      change({ loading: false });
    }
  };
  const withAudio = async (act: (element: HTMLAudioElement) => unknown) => {
    const element = audio.current;
    if (element === null) return;
    try {
      await load(element);
      await act(element);
    } catch (error) {
      change({ error });
    }
  };
  const toggle = () => withAudio((element) => (element.paused ? element.play() : element.pause()));

  return {
    ...state,
    element: (
      // biome-ignore lint/a11y/useMediaCaption: recorded calls have no captions.
      <audio
        ref={audio}
        preload="none"
        onPlay={() => change({ playing: true })}
        onPause={() => change({ playing: false })}
        onEnded={() => change({ playing: false })}
        onTimeUpdate={(event) => change({ at: event.currentTarget.currentTime })}
        onError={() => change({ loading: false, playing: false, error: new Error('This file cannot be played.') })}
      />
    ),
    toggle,
    seek: (seconds) =>
      withAudio((element) => {
        element.currentTime = seconds;
        change({ at: seconds });
      }),
    setSpeed: (speed) => {
      if (audio.current !== null) audio.current.playbackRate = speed;
      change({ speed });
    },
  };
}
