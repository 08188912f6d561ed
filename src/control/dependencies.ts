import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { AuditFields } from '../core/events.js';
import type { ServiceContext } from '../node/service.js';
import type { Access } from './access/access.js';
import type { Caller, RouteRole } from './access/roles.js';
import type { InteractionView } from './live/interaction-view.js';
import type { Live } from './live/live.js';
import type { NodeMetrics } from './metrics/node-metrics.js';
import type { ControlSettings } from './options.js';
import type { WebSocketRoutes } from './web-sockets.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route; every route declares it. */
    role?: RouteRole;
    /** A ticket in the query will do instead of a token: for requests that cannot carry a header. */
    ticket?: boolean;
  }
  interface FastifyRequest {
    /** Set before the handler is called. */
    caller: Caller;
  }
}

/** The server as modules of routes see it: fastify, whose schemas are Zod's. */
export type ControlApp = FastifyInstance<
  HttpServer | HttpsServer,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

/** What modules of routes need of the node and of the server. */
export interface ControlDependencies extends Omit<ServiceContext, 'audit'> {
  readonly settings: ControlSettings;
  readonly access: Access;
  /** What each interaction does at the moment. */
  readonly interactions: InteractionView;
  /** Everything that is counted, and how it was in the last quarter of an hour. */
  readonly metrics: NodeMetrics;
  /** Where WebSockets are registered, by path. */
  readonly webSockets: WebSocketRoutes;
  /** Events and audio that clients follow. */
  readonly live: Live;
  /** Writes an audit entry that names the caller's token and address. */
  audit(caller: Caller, action: string, fields?: AuditFields, interactionId?: string): void;
  /** Aborts when the server closes: event streams and live audio end then. */
  readonly closing: AbortSignal;
}
