"""What Python does with pika, for the bench `amqp`: calls, events, or one-way messages.

    echo.py URL BROKER KIND SAFE REQUEST REPLY

BROKER is the broker's process id, or 0; KIND is calls, one-way, or events with a number of receivers (events8); SAFE is 1 for persistent
and confirmed; REQUEST and REPLY are what the two bodies have besides their text, in bytes. The other end is a process of its own.

Reads lines `IN_FLIGHT PAYLOAD WARM_UP WINDOW` (milliseconds), and answers each with `THROUGHPUT OWN_CPU BROKER_CPU P50 P99` (microseconds).
"""

import glob
import multiprocessing
import os
import signal
import sys
import time
import uuid

import pika

ID = 16
ON_THE_WAY = 512
PREFETCH = 128
PATIENCE = 10.0


def cpu(*pids):
    """The CPU time of processes, in seconds."""
    total = 0
    for pid in pids:
        for stat in glob.glob(f"/proc/{pid}/task/*/schedstat") if pid else ():
            with open(stat, encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def connect(url):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    return connection, connection.channel()


def body(number, text, besides):
    filled = max(besides - ID, 0)
    return b"%016x" % number + text + b"." * filled


def parts(data, besides):
    return int(data[:ID], 16), data[ID : ID + len(data) - max(besides, ID)]


class Peer:
    def __init__(self, url, broker, kind, safe, request, reply):
        self.url, self.broker, self.safe = url, broker, safe
        self.request, self.reply = request, reply
        self.calls = kind == "calls"
        self.one_way = kind == "one-way"
        self.receivers = int(kind[len("events") :]) if kind.startswith("events") else 1
        self.name = f"rmi.bench.pika.{uuid.uuid4().hex}"
        self.mode = 2 if safe else None
        fork = multiprocessing.get_context("fork")
        self.received = fork.RawValue("L", 0)
        ready = fork.Event()
        self.other = fork.Process(target=self.receive, args=(ready,), daemon=True)
        self.other.start()
        if not ready.wait(PATIENCE):
            raise TimeoutError("the other end does not start")
        self.connection, self.channel = connect(url)
        if safe:
            self.channel.confirm_delivery()
        self.waiting, self.times, self.looks, self.due = {}, [], [], 0
        if self.calls:
            self.replies = self.channel.queue_declare("", exclusive=True).method.queue
            self.channel.basic_consume(self.replies, self.replied, auto_ack=True)

    # The other end.

    def receive(self, ready):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        connection, channel = connect(self.url)
        if self.calls or self.one_way:
            if self.calls and self.safe:
                channel.confirm_delivery()
            channel.queue_declare(self.name, durable=True, auto_delete=True)
            channel.basic_qos(prefetch_count=PREFETCH)
            channel.basic_consume(self.name, self.answer if self.calls else self.take)
        else:
            for _ in range(self.receivers):
                queue = channel.queue_declare("", exclusive=True).method.queue
                channel.queue_bind(queue, "amq.topic", self.name)
                channel.basic_consume(queue, self.hear, auto_ack=True)
        ready.set()
        channel.start_consuming()

    def answer(self, channel, method, properties, data):
        number, text = parts(data, self.request)
        options = pika.BasicProperties(delivery_mode=self.mode)
        channel.basic_publish("", properties.reply_to, body(number, text, self.reply), options)
        channel.basic_ack(method.delivery_tag)

    def take(self, channel, method, _properties, data):
        parts(data, self.request)[1].decode()
        channel.basic_ack(method.delivery_tag)
        self.received.value += 1

    def hear(self, _channel, _method, _properties, data):
        parts(data, self.request)[1].decode()
        self.received.value += 1

    # This end.

    def send(self, number):
        options = pika.BasicProperties(delivery_mode=self.mode, reply_to=self.replies if self.calls else None)
        data = body(number, self.text, self.request)
        self.waiting[number] = time.perf_counter()
        if self.calls or self.one_way:
            self.channel.basic_publish("", self.name, data, options, mandatory=True)
        else:
            self.channel.basic_publish("amq.topic", self.name, data, options)

    def replied(self, _channel, _method, _properties, data):
        number, text = parts(data, self.reply)
        text.decode()
        self.end(number)
        # Not from here: waiting for a confirmation brings more replies, and this would never come to an end.
        self.due += 1

    def end(self, number):
        now = time.perf_counter()
        began = self.waiting.pop(number)
        if self.looks:
            self.times.append(now - began)

    def run(self, in_flight, payload, warm_up, window):
        self.text, self.times, self.next = (b"abcdefghijklmnopqrstuvwxyz" * 160)[:payload], [], 0
        opens, closes = time.perf_counter() + warm_up, float("inf")
        self.looks = []
        self.received.value = 0
        self.due = in_flight
        while True:
            now = time.perf_counter()
            # Of a machine that is busy with others nothing is said but when it was looked at, and that something was done.
            if not self.looks and now >= opens or now >= closes and self.times:
                self.looks.append((now, cpu(os.getpid(), self.other.pid), cpu(self.broker)))
                closes = now + window
            if len(self.looks) == 2:
                break
            if self.calls:
                while self.due:
                    self.due -= 1
                    self.next += 1
                    self.send(self.next)
                self.connection.process_data_events(0.01)
            elif self.next * self.receivers - self.received.value < ON_THE_WAY * self.receivers:
                self.next += 1
                self.send(self.next)
                self.end(self.next)
            else:
                self.connection.process_data_events(0)
                time.sleep(0.0001)
        times = sorted(self.times)
        patience = time.perf_counter() + PATIENCE
        while self.waiting or not self.calls and self.received.value < self.next * self.receivers:
            self.connection.process_data_events(0.001)
            if time.perf_counter() > patience:
                raise TimeoutError("messages were published, and not received")
        (from_, own, broker), (to, own_then, broker_then) = self.looks
        count, each = len(times), 1e6 / len(times)
        rank = lambda percent: times[min(count * percent // 100, count - 1)] * 1e6
        return count / (to - from_), (own_then - own) * each, (broker_then - broker) * each, rank(50), rank(99)


def main():
    url, broker, kind, safe, request, reply = sys.argv[1:]
    peer = Peer(url, int(broker), kind, safe == "1", int(request), int(reply))
    print("ready", flush=True)
    for line in sys.stdin:
        in_flight, payload, warm_up, window = (int(word) for word in line.split())
        print(*peer.run(in_flight, payload, warm_up / 1000, window / 1000), flush=True)


main()
