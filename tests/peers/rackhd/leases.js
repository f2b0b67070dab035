'use strict';

// The lease service as RackHD's processes knew it.

const { failure } = require('./messenger');

/** Serves every method of the service. */
async function serve(messenger, table) {
    const lease = (ip) => Object.values(table.leases).find((lease) => lease.ipAddress === ip);
    const result = (value) => ({ type: 'Result', body: { value } });
    const remove = (lease) => {
        if (lease) {
            delete table.leases[lease.mac];
        }
        return result(lease);
    };
    const methods = {
        lookupIpLease: ['IpAddress', (ip) => {
            if (ip === '10.1.1.99') {
                throw failure('NotFoundError', `no such lease: ${ip}`, { status: 404, context: { ip } });
            }
            const found = lease(ip);
            return found ? { type: 'MacAddress', body: { value: found.mac } } : result({});
        }],
        ipInRange: ['IpAddress', (ip) => result(ip.startsWith('10.1.1.'))],
        peekLeaseTable: [undefined, () => result(table)],
        removeLease: ['MacAddress', (mac) => remove(table.leases[mac])],
        removeLeaseByIp: ['IpAddress', (ip) => remove(lease(ip))],
        pinMac: ['MacAddress', (mac) => result({ mac })],
        unpinMac: ['MacAddress', (mac) => {
            const ip = table.pinned[mac];
            delete table.pinned[mac];
            return result(ip && { ip });
        }],
        pinIp: ['IpAddress', (ip) => result({ ip })],
        unpinIp: ['IpAddress', (ip) => {
            const mac = Object.keys(table.pinned).find((mac) => table.pinned[mac] === ip);
            return result(mac && { mac });
        }],
    };
    for (const [name, [type, method]] of Object.entries(methods)) {
        await messenger.subscribe('dhcp', `methods.${name}`, type, (data) => method(data.value));
    }
}

module.exports = { serve };
