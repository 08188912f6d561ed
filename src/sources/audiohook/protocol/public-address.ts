import { BlockList, isIP, isIPv6 } from 'node:net';
import { TrunklineError } from '../../../core/errors.js';

/**
 * The address under which a client reached the server. Clients sign the authority and the path of their own request,
 * which a proxy in between may have rewritten. No I/O.
 */
export interface PublicAddressOptions {
  /** The authority that clients connect to and sign, such as `audiohook.example.com`. Taken from the request when absent. */
  readonly publicAuthority?: string | undefined;
  /** The path that clients connect to and sign. Taken from the request when absent. */
  readonly publicPath?: string | undefined;
  /** Addresses and subnets whose forwarding headers are believed; `loopback` stands for 127.0.0.0/8 and ::1. */
  readonly trustedProxies?: readonly string[] | undefined;
}

export type Headers = Readonly<Record<string, readonly string[] | undefined>>;

export interface ArrivedRequest {
  readonly remoteAddress: string | undefined;
  /** Path and query as in the request line. */
  readonly target: string;
  /** Names in lower case, with every value that was sent. */
  readonly headers: Headers;
}

export interface PublicRequest {
  /** Of the client, not of a trusted proxy. */
  readonly remoteAddress: string | undefined;
  readonly target: string;
  readonly authority: string | undefined;
}

export class PublicAddress {
  readonly #authority: string | undefined;
  readonly #path: string | undefined;
  readonly #trusted = new BlockList();

  /** @throws TrunklineError CONFIG_INVALID for a proxy that is neither an address nor a subnet. */
  constructor({ publicAuthority, publicPath, trustedProxies = [] }: PublicAddressOptions) {
    this.#authority = publicAuthority;
    this.#path = publicPath;
    for (const proxy of trustedProxies) addSubnet(this.#trusted, proxy);
  }

  resolve({ remoteAddress, target, headers }: ArrivedRequest): PublicRequest {
    const isForwarded = this.#isTrusted(remoteAddress);
    const forwarded = isForwarded ? parseForwarded(headers['forwarded']) : [];
    const arrivedTarget = isForwarded ? (forwardedTarget(headers, target) ?? target) : target;
    const host = isForwarded ? (forwarded[0]?.['host'] ?? list(headers['x-forwarded-host'])[0]) : undefined;
    return {
      remoteAddress: isForwarded ? this.#clientAddress(remoteAddress, forwarded, headers) : remoteAddress,
      target: this.#path === undefined ? arrivedTarget : this.#path + queryOf(target),
      authority: this.#authority ?? host ?? headers['host']?.[0],
    };
  }

  // Each proxy appends the address that it received the request from; those before an untrusted one may be made up.
  #clientAddress(
    remoteAddress: string | undefined,
    forwarded: readonly Record<string, string>[],
    headers: Headers,
  ): string | undefined {
    const hops =
      forwarded.length > 0
        ? forwarded.map((element) => addressOf(element['for'] ?? ''))
        : list(headers['x-forwarded-for']).map(addressOf);
    return hops.findLast((hop) => isIP(hop) > 0 && !this.#isTrusted(hop)) ?? remoteAddress;
  }

  #isTrusted(address: string | undefined): boolean {
    if (address === undefined) return false;
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    return isIP(plain) > 0 && this.#trusted.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4');
  }
}

/** What arrived and what was checked instead, for the log: no query, no key, and no control character. */
export function describeAddress({ target, headers }: ArrivedRequest, checked: PublicRequest): string {
  const arrived = ['host', 'forwarded', 'x-forwarded-host', 'x-forwarded-prefix', 'x-original-uri']
    .flatMap((name) => headers[name]?.map((value) => `${name} ${printable(value)}`) ?? [])
    .join(', ');
  return (
    `checked as signed for authority ${printable(checked.authority ?? '')} and path ${printable(pathOf(checked.target))}; ` +
    `arrived with path ${printable(pathOf(target))}, ${arrived}`
  );
}

export function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? '';
}

function queryOf(target: string): string {
  return target.slice(pathOf(target).length);
}

function printable(text: string): string {
  return JSON.stringify(text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?'));
}

function forwardedTarget(headers: Headers, target: string): string | undefined {
  const original = headers['x-original-uri']?.[0] ?? headers['x-forwarded-uri']?.[0];
  if (original?.startsWith('/') === true) return original;
  const prefix = list(headers['x-forwarded-prefix'])[0];
  return prefix?.startsWith('/') === true ? prefix.replace(/\/$/, '') + target : undefined;
}

function list(values: readonly string[] | undefined): string[] {
  return (values ?? []).flatMap((value) => value.split(',')).map((item) => item.trim());
}

/** RFC 7239: elements separated by commas, each of pairs separated by semicolons; values may be quoted. */
function parseForwarded(values: readonly string[] | undefined): Record<string, string>[] {
  const elements: Record<string, string>[] = [];
  for (const value of values ?? []) {
    for (const element of value.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? []) {
      const pairs = element.matchAll(/([!#$%&'*+.^_`|~\w-]+)=(?:"((?:\\.|[^"\\])*)"|([^\s;,"]*))/g);
      elements.push(
        Object.fromEntries(
          [...pairs].map(([, name = '', quoted, token]) => [
            name.toLowerCase(),
            quoted?.replace(/\\(.)/g, '$1') ?? token ?? '',
          ]),
        ),
      );
    }
  }
  return elements;
}

/** Without brackets and port. */
function addressOf(text: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(text);
  if (bracketed !== null) return bracketed[1] ?? '';
  return text.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1');
}

function addSubnet(trusted: BlockList, text: string): void {
  if (text === 'loopback') {
    trusted.addSubnet('127.0.0.0', 8, 'ipv4');
    trusted.addAddress('::1', 'ipv6');
    return;
  }
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  const max = family === 'ipv6' ? 128 : 32;
  const length = bits === undefined ? max : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (isIP(address) === 0 || more.length > 0 || !(length >= 0 && length <= max)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `A trusted proxy must be an address, a subnet such as 10.0.0.0/8, or "loopback"; ${JSON.stringify(text)} is none.`,
    );
  }
  trusted.addSubnet(address, length, family);
}
