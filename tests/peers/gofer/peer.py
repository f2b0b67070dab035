"""A peer that speaks as gofer 3.0 does: `peer.py agent|client OPTIONS`, where the options are one JSON object."""

import json
import sys

import agent
import client

if __name__ == '__main__':
    role, options = sys.argv[1], json.loads(sys.argv[2])
    {'agent': agent.Agent, 'client': client.Client}[role](options).run()
