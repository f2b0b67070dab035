"""Clients of gofer 3.0: each line of standard input is an order, each line of standard output an answer or something that came."""

import json
import sys
import threading
import time
import uuid

import pika

import wire


class Client(object):

    def __init__(self, options):
        self.url = options['url']
        self.auth = wire.authenticator(options.get('authenticator'))
        self.stdout = threading.Lock()
        self.triggers = {}

    def say(self, what):
        with self.stdout:
            print(json.dumps(what), flush=True)

    def run(self):
        self.say({'ready': True})
        for line in sys.stdin:
            order = json.loads(line)
            threading.Thread(target=self.obey, args=(order,), daemon=True).start()

    def obey(self, order):
        try:
            answer = getattr(self, 'do_' + order['do'])(order)
        except Exception as e:
            kind = type(e)
            answer = {
                'raised': kind.__name__,
                'module': wire.DISPATCHER if kind.__name__ in wire.NAMES else kind.__module__,
                'bases': [base.__name__ for base in kind.__mro__],
                'args': list(e.args),
                'state': {k: v for k, v in e.__dict__.items() if k not in ('seen', 'document')},
            }
            answer.update(getattr(e, 'seen', {}))
        answer['id'] = order['id']
        self.say(answer)

    # Calls.

    def do_call(self, order):
        sn = order.get('sn') or wire.new_sn()
        if order.get('trigger'):
            self.triggers[sn] = dict(order, sn=sn, trigger=0)
            return {'sn': sn}
        if order.get('reply') or order.get('wait') == 0:
            with wire.Channel(self.url) as channel:
                self.send(channel, order, sn, order.get('reply'))
            return {'sn': sn}
        return self.synchronous(order, sn)

    def do_trigger(self, order):
        waiting = self.triggers.pop(order['sn'], None)
        if waiting is None:
            raise Exception('trigger already executed')
        return self.do_call(waiting)

    def send(self, channel, order, sn, replyto):
        document = {
            'sn': sn,
            'version': wire.VERSION,
            'routing': [None, order['address']],
            'replyto': replyto,
            'data': order.get('data'),
            'request': {
                'classname': order['classname'],
                'method': order['method'],
                'args': order.get('args', []),
                'kws': order.get('kws', {}),
                'cntr': order.get('cntr'),
            },
        }
        for path, value in order.get('with', {}).items():
            document[path] = value
        for path in order.get('without', []):
            inner = document
            *parents, last = path.split('.')
            for parent in parents:
                inner = inner[parent]
            del inner[last]
        channel.send(order['address'], wire.write(document, self.auth), order.get('ttl'))

    def synchronous(self, order, sn):
        exchange = order.get('exchange')
        queue = str(uuid.uuid4())
        replyto = '%s/%s' % (exchange, queue) if exchange else queue
        came, progress = [], []
        with wire.Channel(self.url) as channel:
            channel.channel.queue_declare(queue, durable=False, exclusive=False, auto_delete=False)
            if exchange:
                channel.channel.queue_bind(queue, exchange, queue)
            try:
                self.send(channel, order, sn, replyto)
                wanted = None if 'sn' in order.get('without', []) else sn
                wanted = order.get('with', {}).get('sn', wanted)
                retval = self.await_result(channel, queue, wanted, order.get('wait', 90), came, progress)
                return {'retval': retval, 'sn': sn, 'came': came, 'progress': progress}
            except Exception as e:
                e.seen = {'came': came, 'progress': progress, 'sn': sn}
                raise
            finally:
                channel.channel.cancel()
                channel.channel.queue_purge(queue)
                channel.channel.queue_delete(queue)

    def await_result(self, channel, queue, sn, wait, came, progress):
        end = time.monotonic() + wait
        left = int(wait)
        for method, properties, body in channel.channel.consume(queue, inactivity_timeout=max(left, 0.01)):
            left = int(end - time.monotonic())
            if method is None:
                raise wire.RequestTimeout(sn, wait)
            channel.channel.basic_ack(method.delivery_tag)
            came.append(wire.seen(method, properties, body))
            document = wire.read(body, self.auth)
            if document.get('sn') != sn:
                continue
            status, result = document.get('status'), document.get('result')
            if status == 'rejected':
                raise wire.DocumentError(document['code'], document['description'], None, document['details'])
            if status == 'progress':
                progress.append({k: document.get(k) for k in ('sn', 'data', 'total', 'completed', 'details')})
            elif status is None and 'retval' in result:
                return result['retval']
            elif status is None and 'exval' in result:
                raise wire.exception_in(result)
            if end <= time.monotonic():
                raise wire.RequestTimeout(sn, wait)

    # A reply consumer.

    def do_listen(self, order):
        channel = wire.Channel(self.url)
        queue = order['queue']
        channel.channel.queue_declare(queue, durable=True)
        if order.get('exchange'):
            channel.channel.queue_bind(queue, order['exchange'], queue)

        def received(_, method, properties, body):
            try:
                document = wire.read(body, self.auth)
                # What gofer's ReplyConsumer reads without asking.
                origin = document['routing'][0]
                self.say({'heard': document, 'origin': origin, 'seen': wire.seen(method, properties, body)})
            except Exception as e:
                self.say({'heard': None, 'error': repr(e), 'seen': wire.seen(method, properties, body)})
            channel.channel.basic_ack(method.delivery_tag)

        channel.channel.basic_consume(queue, received, auto_ack=False)
        threading.Thread(target=channel.channel.start_consuming, daemon=True).start()
        return {'listening': queue}

    # What a test does to the broker.

    def do_send(self, order):
        with wire.Channel(self.url) as channel:
            for _ in range(order.get('times', 1)):
                channel.send(order['address'], order['text'], order.get('ttl'), **order.get('properties', {}))
        return {'sent': True}

    def do_depth(self, order):
        with wire.Channel(self.url) as channel:
            try:
                declared = channel.channel.queue_declare(order['queue'], passive=True)
            except pika.exceptions.ChannelClosedByBroker:
                return {'ready': None}
            return {'ready': declared.method.message_count, 'consumers': declared.method.consumer_count}

    def do_declare(self, order):
        """Declares a queue as gofer's agent does: refused where it is there and not the same."""
        expiration = order.get('expiration')
        arguments = {'x-expires': expiration * 1000} if expiration else {}
        with wire.Channel(self.url) as channel:
            channel.channel.queue_declare(order['queue'], durable=True, auto_delete=bool(expiration), arguments=arguments)
        return {'declared': order['queue']}

    def do_take(self, order):
        """Takes what waits in a queue, until there is nothing more."""
        took = []
        with wire.Channel(self.url) as channel:
            while True:
                method, properties, body = channel.channel.basic_get(order['queue'], auto_ack=True)
                if method is None:
                    return {'took': took}
                took.append(wire.seen(method, properties, body))
