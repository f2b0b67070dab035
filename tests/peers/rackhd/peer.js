'use strict';

// Plays a process of RackHD for the suites: takes orders as lines of JSON, and tells what came of them and what it hears.
//
//     node peer.js URL PREFIX on|legacy

const readline = require('readline');
const { Messenger, failure } = require('./messenger');
const leases = require('./leases');

const [url, prefix, generation] = process.argv.slice(2);

function say(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** What is known of a message. */
function heard(data, message) {
    const { exchange, routingKey } = message.fields;
    const { type, contentType, correlationId, headers, replyTo } = message.properties;
    return { exchange, key: routingKey, type, contentType, correlationId, headers, replyTo, body: data };
}

const orders = {
    /** Serves the leases of a table. */
    async leases(messenger, { table }) {
        await leases.serve(messenger, table);
    },

    /** Replies to everything under a pattern with the same, and tells what it was; with nothing where there is no reply. */
    async serve(messenger, { exchange, pattern, type, reply, error }) {
        await messenger.subscribe(exchange, pattern, type, (data, message) => {
            say({ heard: heard(data, message) });
            if (error) {
                throw failure(error.name, error.message, error);
            }
            return reply;
        });
    },

    async request(messenger, { exchange, key, type, body, timeout }) {
        try {
            const { data, properties } = await messenger.request(exchange, key, type, body, timeout);
            const { type: replied, correlationId, headers } = properties;
            return { resolved: data, type: replied, correlationId, headers };
        } catch (error) {
            const { name, message, stack, context, status } = error;
            return { rejected: { name, message, stack, context, status } };
        }
    },

    /** Asks by RabbitMQ's direct reply queue, which RackHD does not do and others may. */
    async direct(messenger, { exchange, key, type, body }) {
        const channel = await messenger.receive.createChannel();
        const replied = new Promise((resolve) => {
            channel.consume('amq.rabbitmq.reply-to', (message) => resolve(messenger.parse(message)), { noAck: true }).then(() => {
                const properties = messenger.properties(type, { replyTo: 'amq.rabbitmq.reply-to' });
                channel.publish(messenger.exchange(exchange), key, messenger.body(type, body), properties);
            });
        });
        const late = new Promise((_, reject) => setTimeout(() => reject(new Error('no reply')), 10000).unref());
        const resolved = await Promise.race([replied, late]);
        await channel.close();
        return { resolved };
    },

    async publish(messenger, { exchange, key, type, body }) {
        messenger.publish(exchange, key, type, body);
    },

    /** What would have brought a process of RackHD down. */
    async harmed(messenger) {
        return { harmed: messenger.harmed };
    },

    /** What went wrong in it where nobody heard of it. */
    async unhandled(messenger) {
        return { unhandled: messenger.unhandled };
    },
};

async function main() {
    const messenger = await Messenger.connect(url, { prefix, legacy: generation === 'legacy' });
    say({ ready: true });
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const order = JSON.parse(line);
        // Requests wait side by side.
        orders[order.do](messenger, order)
            .then((done) => say({ id: order.id, ...done }))
            .catch((error) => say({ id: order.id, failed: String(error.stack) }));
    }
    await messenger.close();
}

main().catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
});
