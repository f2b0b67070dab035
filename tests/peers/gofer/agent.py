"""An agent of gofer 3.0, with one plug-in: classes at a queue.

Says on standard output, one JSON object a line, what it is sent. It ends when standard input does.
"""

import collections
import json
import queue
import sys
import threading
import time

import pika

import kennels
import wire


class MyError(Exception):

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


class Context(threading.local):
    """What a method knows of its request."""
    request = None
    agent = None

    def progress(self, total, completed, details):
        if self.agent.wants(self.request):
            self.agent.reply(self.request, status='progress', total=total, completed=completed, details=details, timestamp=None)

    def cancelled(self):
        return self.request.get('sn') in self.agent.cancelled


CONTEXT = Context()


class Dog(object):

    def __init__(self, name='chance', age=1):
        self.name = name
        self.age = age

    def bark(self, words):
        return 'Yes master.  I will bark because that is what dogs do. "%s"' % words

    def bark_times(self, words, times=1):
        return ' '.join([words] * times)

    def who(self):
        return {'name': self.name, 'age': self.age}

    def sit(self):
        raise ValueError('I do not sit', 42)

    def key_error(self, key):
        return {}[key]

    def my_error(self):
        raise MyError('This is myerror.', 23)

    def full(self, places):
        raise kennels.KennelFull(places)

    def wag(self, n, delay=0):
        for i in range(n):
            if CONTEXT.cancelled():
                return 'wagged %d' % i
            CONTEXT.progress(n, i + 1, 'for: %d' % i)
            time.sleep(delay)
        return 'wagged %d' % n

    def nap(self, seconds):
        time.sleep(seconds)

    def cancellable(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if CONTEXT.cancelled():
                return 'cancelled'
            time.sleep(0.01)
        return 'finished'

    def big(self, n):
        return 'x' * n


class DogModule(object):
    """The functions of a module: nothing is constructed."""

    def echo(self, something):
        return something


class Admin(object):

    def hello(self):
        return 'Hello, I am gofer agent'

    def echo(self, something):
        return something

    def help(self):
        return 'Plugins: ..'

    def cancel(self, sn=None, criteria=None):
        agent, found = CONTEXT.agent, []
        if sn:
            if sn not in agent.tracked:
                raise Exception('serial number (%s), not-found' % sn)
            found = [sn]
        else:
            for one, data in list(agent.tracked.items()):
                wanted = (criteria or {}).get('match', {})
                if wanted and isinstance(data, dict) and all(data.get(k) == v for k, v in wanted.items()):
                    found.append(one)
        found = [one for one in found if one not in agent.cancelled]
        agent.cancelled.update(found)
        return found


class Agent(object):

    def __init__(self, options):
        self.url = options['url']
        self.auth = wire.authenticator(options.get('authenticator'))
        self.reads = options.get('reads', 'kwargs')
        self.silent = options.get('silent', False)
        self.tracked = collections.OrderedDict()
        self.cancelled = set()
        self.local = threading.local()
        self.stdout = threading.Lock()
        exchange, self.queue = wire.route(options['queue'])
        channel = wire.Channel(self.url)
        arguments, auto_delete = {}, False
        if options.get('expiration'):
            arguments, auto_delete = {'x-expires': options['expiration'] * 1000}, True
        channel.channel.queue_declare(self.queue, durable=True, auto_delete=auto_delete, arguments=arguments)
        if exchange:
            channel.channel.queue_bind(self.queue, exchange, self.queue)
        self.consumer = channel
        self.pools = {}
        for name, threads in (('builtin', 3), ('plugin', 1)):
            pool = self.pools[name] = queue.Queue(100)
            for _ in range(threads):
                threading.Thread(target=self.work, args=(pool,), daemon=True).start()

    def say(self, **what):
        with self.stdout:
            print(json.dumps(what), flush=True)

    @staticmethod
    def wants(request):
        return bool(request.get('replyto'))

    def reply(self, request, **keys):
        if not self.wants(request):
            return
        document = {
            'sn': request.get('sn'),
            'version': wire.VERSION,
            'routing': [None, request['replyto']],
            'data': request.get('data'),
            'timestamp': wire.timestamp(),
        }
        document.update(keys)
        if document['timestamp'] is None:
            del document['timestamp']
        try:
            channel = getattr(self.local, 'channel', None)
            if channel is not None:
                channel.send(request['replyto'], wire.write(document, self.auth))
            else:
                with wire.Channel(self.url) as channel:
                    channel.send(request['replyto'], wire.write(document, self.auth))
        except wire.NotFound:
            self.say(unroutable=request['replyto'], sn=request.get('sn'))

    def received(self, channel, method, properties, body):
        self.say(got=wire.seen(method, properties, body))
        if self.silent:
            return
        try:
            request = wire.read(body, self.auth)
        except wire.DocumentError as e:
            channel.basic_ack(method.delivery_tag)
            self.reply(e.document, status='rejected', code=e.code, description=e.description, details=e.details)
            return
        self.reply(request, status='accepted')
        self.tracked[request.get('sn')] = request.get('data')
        name = (request.get('request') or {}).get('classname')
        self.pools['builtin' if name == 'Admin' else 'plugin'].put(request)
        channel.basic_ack(method.delivery_tag)

    def work(self, pool):
        while True:
            request = pool.get()
            with wire.Channel(self.url) as channel:
                self.local.channel = channel
                self.perform(request)
                self.local.channel = None

    def perform(self, request):
        sn = request.get('sn')
        try:
            if sn in self.cancelled:
                return
            CONTEXT.agent, CONTEXT.request = self, request
            if request.get('request') is None:
                return
            self.reply(request, status='started')
            try:
                result = {'retval': self.dispatch(request['request'])}
                wire.dump(result)
            except Exception:
                result = wire.exception_out()
            self.reply(request, result=result)
        finally:
            self.tracked.pop(sn, None)
            self.cancelled.discard(sn)

    def dispatch(self, call):
        catalog = {'Dog': Dog, 'dog': DogModule, 'Admin': Admin}
        name, method = call.get('classname'), call.get('method')
        kind = catalog.get(name)
        if kind is None:
            raise wire.NamespaceNotFound('"%s" not provided by plugin.' % name)
        if method.startswith('_') or not callable(getattr(kind, method, None)):
            raise wire.MemberNotFound('"%s.%s()" not provided by plugin.' % (name, method))
        args, kwargs = (call.get('cntr') or [[], {}])
        instance = kind(*args, **kwargs)
        return getattr(instance, method)(*(call.get('args') or []), **(call.get(self.reads) or {}))

    def run(self):
        # No basic.qos: gofer takes everything that there is.
        self.consumer.channel.basic_consume(self.queue, self.received, auto_ack=False)
        self.say(ready=self.queue)
        stdin = threading.Thread(target=self.until_told, daemon=True)
        stdin.start()
        try:
            self.consumer.channel.start_consuming()
        except pika.exceptions.AMQPError as e:
            self.say(lost=repr(e))

    def until_told(self):
        for line in sys.stdin:
            word = line.strip()
            if word == 'detach':
                # An orderly end: gofer purges and deletes its queue.
                self.consumer.connection.add_callback_threadsafe(self.detach)
                return
        self.consumer.connection.add_callback_threadsafe(self.consumer.channel.stop_consuming)

    def detach(self):
        self.consumer.channel.stop_consuming()
        self.consumer.channel.queue_purge(self.queue)
        self.consumer.channel.queue_delete(self.queue)
        self.say(detached=self.queue)
