// Resolves every name under localhost to loopback, as RFC 6761 wants it and Node leaves to the system.
const dns = require('node:dns');

const lookup = dns.lookup;
dns.lookup = (name, options, callback) =>
  lookup(name.endsWith('.localhost') ? '127.0.0.1' : name, options, callback);
