import { z } from 'zod';
import { setting, text } from './setting.js';

/** Settings of the control server: metrics, health, API and console. */
export const controlSettings = {
  controlPort: setting(z.int().min(0).max(65_535).default(9464), {
    description: 'Port of the control server: metrics, health, API and console; 0 for no control server.',
    value: 'n',
  }),
  controlHost: setting(text().default('127.0.0.1'), {
    description: 'Address that it listens on. Without tokens it must be one of this machine alone.',
    value: 'address',
  }),
  controlTokens: setting(text().optional(), {
    description: 'File of the tokens that callers need, as `trunkline token create` makes it.',
    key: 'tokensFile',
    value: 'file',
    defaultText: 'none: everybody on this machine is an operator',
  }),
  controlTlsCert: setting(text().optional(), {
    description: 'PEM file of its certificate chain.',
    value: 'file',
    defaultText: 'none: plain HTTP',
  }),
  controlTlsKey: setting(text().optional(), {
    description: 'PEM file of its private key.',
    value: 'file',
    defaultText: 'none',
  }),
  controlAllowedHosts: setting(z.array(text()).default([]), {
    description: 'Names under which it is reached, beside localhost and IP addresses; requests for others are refused.',
    value: 'name,name',
    allowed: 'a list of host names without port',
    defaultText: 'none',
  }),
  controlAllowedOrigins: setting(z.array(text().regex(/^https?:\/\/[^/\s]+$/)).default([]), {
    description: 'Origins of other sites whose pages may use its API (CORS).',
    value: 'origin,origin',
    allowed: 'a list of origins such as https://ops.example.com',
    defaultText: 'none',
  }),
};
