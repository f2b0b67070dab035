'use strict';

// Messages as RackHD's processes send and take them, in both generations: the topology, the properties, the types and their checks,
// one reply queue for each call, and what brings a receiver down.

const amqp = require('amqplib');
const crypto = require('crypto');
const { isIPv4 } = require('net');

/** What a receiver looks up by the name of a type. */
class Typed {
    constructor(members) {
        Object.assign(this, members);
    }

    /** What a sender checks before it sends, and a subscriber when a message has come. */
    valid() {
        return true;
    }
}

class IpAddress extends Typed {
    valid() {
        return isIPv4(this.value);
    }
}

class MacAddress extends Typed {
    valid(legacy) {
        const pattern = legacy ? /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/ : /^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/;
        return typeof this.value === 'string' && pattern.test(this.value);
    }
}

class Result extends Typed {}

class ErrorEvent extends Typed {
    valid() {
        const texts = [this.name, this.message, this.stack].every((text) => typeof text === 'string');
        const status = this.status === undefined || typeof this.status === 'number';
        return texts && status && typeof this.context === 'object' && this.context !== null;
    }

    /** The first generation had no status. */
    static of(error, legacy) {
        const { name, message, stack, context = {}, status } = error;
        return new ErrorEvent({ name, message, stack, context, status: legacy ? undefined : status });
    }
}

class LogEvent extends Typed {
    valid(legacy) {
        const first = ['emerg', 'alert', 'crit', 'error', 'warning', 'notice', 'info', 'debug', 'silly'];
        const levels = legacy ? first : ['critical', 'error', 'warning', 'info', 'debug'];
        const texts = [this.timestamp, this.caller, this.subject].every((text) => typeof text === 'string');
        return texts && levels.includes(this.level);
    }
}

const TYPES = { IpAddress, MacAddress, Result, ErrorEvent, LogEvent };

/** What else the names of types were looked up among: naming one of these throws. */
const INJECTABLE = ['console', 'Promise', 'Services.Messenger', 'Logger'];

const EXCHANGES = ['configuration', 'events', 'http', 'dhcp', 'tftp', 'logging', 'task-graph-runner', 'scheduler', 'task'];

/** Those that the last release has beside them and `waterline`, which both have. */
const LATER = ['ssdp', 'heartbeat', 'test'];

const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_~';

function nanoid() {
    return Array.from(crypto.randomBytes(7), (byte) => CHARACTERS[byte & 63]).join('');
}

/** An error with what RackHD's errors have. */
function failure(name, message, more = {}) {
    const error = new Error(message);
    return Object.assign(error, { name, stack: `${name}: ${message}\n    at peer (messenger.js:1:1)` }, more);
}

class Messenger {
    /** Connects twice, to send and to receive; the first generation had one connection for both. */
    static async connect(url, { prefix, legacy }) {
        const messenger = new Messenger();
        messenger.prefix = prefix;
        messenger.legacy = legacy;
        // What would have brought a RackHD process down.
        messenger.harmed = [];
        // What went wrong in it where nobody heard of it.
        messenger.unhandled = [];
        messenger.connections = [await amqp.connect(url)];
        if (!legacy) {
            messenger.connections.push(await amqp.connect(url));
        }
        messenger.transmit = await messenger.connections[0].createChannel();
        messenger.receive = messenger.connections.at(-1);
        // Each connection declares all of them.
        for (const connection of messenger.connections) {
            const channel = await connection.createChannel();
            for (const plain of [...EXCHANGES, 'waterline', ...(legacy ? [] : LATER)]) {
                await channel.assertExchange(messenger.exchange(plain), 'topic', { durable: true, autoDelete: legacy });
            }
            await channel.close();
        }
        return messenger;
    }

    exchange(plain) {
        return this.prefix + plain;
    }

    async close() {
        for (const connection of this.connections) {
            await connection.close();
        }
    }

    /** The body of a message, as a receiver of RackHD makes it; undefined when that brings it down. */
    parse(message) {
        const { contentType, type } = message.properties;
        const where = `${message.fields.exchange}:${message.fields.routingKey}`;
        let data;
        if (contentType === 'application/json' || contentType === 'text/json') {
            try {
                data = JSON.parse(message.content.toString('utf8'));
            } catch (error) {
                this.harmed.push(`${where}: ${error.message}`);
                return undefined;
            }
        } else {
            data = { data: message.content, contentType };
        }
        if (typeof data !== 'object' || data === null) {
            this.harmed.push(`${where}: ${String(data)} (object) is required`);
            return undefined;
        }
        if (INJECTABLE.includes(type)) {
            this.harmed.push(`${where}: ${type} is not a constructor`);
            return undefined;
        }
        const Type = TYPES[type];
        return Type ? new Type(data) : data;
    }

    properties(type, more = {}) {
        const tracing = this.legacy ? { correlationId: crypto.randomUUID(), headers: {} } : {};
        return { contentType: 'application/json', type, ...tracing, ...more };
    }

    body(type, data) {
        if (typeof data !== 'object' || data === null) {
            throw failure('AssertionError', `${String(data)} (object) is required`);
        }
        const Type = TYPES[type];
        const body = Type ? new Type(data) : data;
        if (Type && !body.valid(this.legacy)) {
            throw failure('Error', 'SchemaError: JSON Schema Violation');
        }
        return Buffer.from(JSON.stringify(body), 'utf8');
    }

    publish(plain, key, type, data) {
        this.transmit.publish(this.exchange(plain), key, this.body(type, data), this.properties(type));
    }

    /** A queue of one's own, named as its generation names them, with what comes to it. */
    async consume(name, bound, take) {
        const channel = await this.receive.createChannel();
        const asked = this.legacy ? '' : `${name}:${nanoid()}`;
        const options = { durable: false, exclusive: !this.legacy, autoDelete: true };
        const { queue } = await channel.assertQueue(asked, options);
        if (bound) {
            await channel.bindQueue(queue, bound.exchange, bound.pattern);
        }
        const { consumerTag } = await channel.consume(queue, (message) => message && take(message), {
            noAck: true,
            exclusive: !this.legacy,
            consumerTag: `node-amqp-${process.pid}-${Math.random()}`,
        });
        const dispose = async () => {
            await channel.cancel(consumerTag);
            await channel.deleteQueue(queue);
            await channel.close();
        };
        return { queue, dispose };
    }

    /**
     * Takes what comes under a pattern of keys. `handler(data, message)` gives what is replied, as `{type, body}`, or throws an error that
     * becomes an ErrorEvent; undefined where nothing is replied.
     */
    async subscribe(plain, pattern, type, handler) {
        const bound = { exchange: this.exchange(plain), pattern };
        const Type = TYPES[type];
        return this.consume(`${bound.exchange}:${pattern}`, bound, async (message) => {
            const data = this.parse(message);
            if (data === undefined) {
                return;
            }
            const { replyTo } = message.properties;
            let { correlationId } = message.properties;
            let reply;
            try {
                if (Type && !(data instanceof Type)) {
                    // The first generation tells this in the words of the request before.
                    correlationId = this.earlier ?? correlationId;
                    const where = this.legacy ? '' : ` (${bound.exchange}:${pattern}:${Type.toString()})`;
                    throw failure('Error', `Invalid Request Type${where}.`);
                }
                this.earlier = correlationId;
                if (data instanceof Typed && !data.valid(this.legacy)) {
                    throw failure('Error', 'SchemaError: JSON Schema Violation');
                }
                reply = await handler(data, message);
            } catch (error) {
                reply = { type: 'ErrorEvent', body: ErrorEvent.of(error, this.legacy) };
            }
            if (reply && !replyTo) {
                this.unhandled.push(`${message.fields.exchange}:${message.fields.routingKey}: there is nobody to reply to`);
            } else if (reply) {
                const echoed = this.legacy ? { correlationId, headers: {} } : {};
                this.transmit.publish('', replyTo, this.body(reply.type, reply.body), {
                    contentType: 'application/json',
                    type: reply.type,
                    ...echoed,
                });
            }
        });
    }

    /** Asks, and gives the first reply. */
    async request(plain, key, type, data, timeout = 1000) {
        const exchange = this.exchange(plain);
        let first;
        const replied = new Promise((resolve) => {
            first = resolve;
        });
        const { queue, dispose } = await this.consume(`${exchange}:${key}.request`, undefined, (message) => {
            const data = this.parse(message);
            if (data !== undefined) {
                first({ data, properties: message.properties });
            }
        });
        let timer;
        const late = new Promise((resolve) => {
            timer = setTimeout(() => resolve(undefined), timeout);
        });
        try {
            this.transmit.publish(exchange, key, this.body(type, data), this.properties(type, { replyTo: queue }));
        } catch (error) {
            // Whoever asked hears of this only that nobody replies.
            this.unhandled.push(`${exchange}:${key}: ${error.message}`);
        }
        const reply = await Promise.race([replied, late]);
        clearTimeout(timer);
        await dispose();
        if (!reply) {
            throw failure('RequestTimedOutError', `Request Timed Out (${exchange}:${key}:${type}). ${timeout} ms`);
        }
        if (reply.data instanceof ErrorEvent) {
            throw reply.data;
        }
        return reply;
    }
}

module.exports = { Messenger, failure };
