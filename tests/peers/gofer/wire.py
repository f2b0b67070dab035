"""gofer's messages on AMQP 0-9-1, as gofer 3.0 writes and reads them."""

import base64
import builtins
import datetime
import hashlib
import hmac
import importlib
import json
import sys
import traceback
import uuid

import pika

VERSION = '2.0'


class ModelError(Exception):
    pass


class NotFound(ModelError):
    pass


class DocumentError(ModelError):

    def __init__(self, code, description, document=None, details=''):
        super().__init__(code, description, document, details)
        self.code = code
        self.description = description
        self.document = document or {}
        self.details = details


def version_error(document):
    found = document.get('version')
    details = 'expected:%s, found:%s' % (VERSION, found)
    return DocumentError('model.version', 'MODEL: document version not matched', document, details)


def validation_failed(document, details):
    return DocumentError('security.authentication', 'SECURITY: message authentication failed', document, details)


class RequestTimeout(Exception):
    pass


class RemoteException(Exception):
    pass


class DispatchError(Exception):
    pass


class NamespaceNotFound(DispatchError):
    pass


class MemberNotFound(DispatchError):
    pass


# What gofer's dispatcher has under its own names, and how it calls its module.
DISPATCHER = 'gofer.rmi.dispatcher'
NAMES = {c.__name__: c for c in (RemoteException, DispatchError, NamespaceNotFound, MemberNotFound)}


def timestamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def new_sn():
    return str(uuid.uuid4())


# Authenticators: `sign(digest) -> text` and `validate(document, digest, text)`, which raises where it refuses.


class SharedSecret(object):
    """HMAC-SHA256 of the digest's text, in hex."""

    def __init__(self, secret):
        self.secret = secret.encode()

    def sign(self, digest):
        return hmac.new(self.secret, digest.encode(), hashlib.sha256).hexdigest()

    def validate(self, document, digest, signature):
        if not hmac.compare_digest(self.sign(digest), signature):
            raise ValueError('the signature does not match')


class Keys(object):
    """Ed25519 over the digest's text, under a name: `<name>:<base64>`."""

    def __init__(self, name, key, ring):
        # Not above: it takes a while, and few need it.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        self.invalid = InvalidSignature
        self.name = name
        with open(key, 'rb') as file:
            self.key = serialization.load_pem_private_key(file.read(), None)
        self.ring = {}
        for name, path in ring.items():
            with open(path, 'rb') as file:
                self.ring[name] = serialization.load_pem_public_key(file.read())

    def sign(self, digest):
        return '%s:%s' % (self.name, base64.b64encode(self.key.sign(digest.encode())).decode())

    def validate(self, document, digest, signature):
        name, _, signed = signature.rpartition(':')
        try:
            self.ring[name].verify(base64.b64decode(signed), digest.encode())
        except (KeyError, self.invalid):
            raise ValueError('no key of %r signed this' % name)


def authenticator(how):
    if not how:
        return None
    if 'secret' in how:
        return SharedSecret(how['secret'])
    return Keys(how['name'], how['key'], how['ring'])


def dump(document):
    return json.dumps(document, sort_keys=True)


def digest(text):
    return hashlib.sha256(text.encode('utf-8')).hexdigest()


def write(document, auth=None):
    """A document as it travels."""
    text = dump(document)
    if auth is None:
        return text
    signature = base64.b64encode(auth.sign(digest(text)).encode('utf-8')).decode()
    return dump({'message': text, 'signature': signature})


def read(body, auth=None):
    """What travelled as a document: authentication first, then the version. Raises DocumentError."""
    try:
        outer = json.loads(body)
    except ValueError:
        outer = {}
    if not isinstance(outer, dict):
        outer = {}
    text, signature = outer.get('message'), outer.get('signature')
    document = outer
    if text is not None:
        document = json.loads(text)
    if auth is not None:
        if text is None:
            raise validation_failed(document, 'not signed')
        try:
            decoded = base64.b64decode(signature or '').decode('utf-8')
            auth.validate(document, digest(text), decoded)
        except Exception as e:
            raise validation_failed(document, str(e))
    if document.get('version') != VERSION:
        raise version_error(document)
    return document


# The model of AMQP.


def route(address):
    parts = address.split('/')
    return (parts[0], parts[-1]) if len(parts) > 1 else ('', address)


class Channel(object):
    """A connection with one channel that waits for confirmations: gofer makes one for each call and each task."""

    def __init__(self, url):
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0
        self.connection = pika.BlockingConnection(parameters)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            self.connection.close()
        except pika.exceptions.AMQPError:
            pass

    def send(self, address, body, ttl=None, **others):
        exchange, key = route(address)
        expiration = {'expiration': str(int(ttl * 1000))} if ttl else {}
        given = dict(delivery_mode=2, content_encoding='utf-8', **expiration)
        given.update(others)
        try:
            self.channel.basic_publish(exchange, key, body, pika.BasicProperties(**given), mandatory=True)
        except pika.exceptions.UnroutableError:
            raise NotFound(address)


def seen(method, properties, body):
    """What came, for a test to look at."""
    given = {k: v for k, v in vars(properties).items() if v is not None}
    return {
        'exchange': method.exchange,
        'routing_key': method.routing_key,
        'redelivered': method.redelivered,
        'properties': given,
        'text': body.decode('utf-8', 'replace'),
    }


# Exceptions.


def exception_out():
    """The exception that is being handled, as gofer's agent writes it."""
    kind, instance, _ = sys.exc_info()
    text = traceback.format_exc()
    args = instance.args if isinstance(instance, Exception) else None
    state = dict(instance.__dict__)
    state['trace'] = text
    module = DISPATCHER if kind.__name__ in NAMES else kind.__module__
    found = {
        'exval': text,
        'xmodule': module,
        'xclass': kind.__name__,
        'xstate': state,
        'xargs': args,
    }
    try:
        dump(found)
    except TypeError:
        return exception_out()
    return found


def exception_in(result):
    """The exception that gofer's client raises."""
    try:
        name = result['xclass']
        kind = NAMES.get(name)
        if kind is None:
            try:
                module = importlib.import_module(result['xmodule'])
            except ImportError:
                module = builtins
            kind = getattr(module, name)
        instance = kind.__new__(kind)
        instance.__dict__.update(result['xstate'])
        instance.args = result['xargs']
        if not isinstance(instance, BaseException):
            raise TypeError(name)
        return instance
    except Exception:
        return RemoteException(result['exval'])
