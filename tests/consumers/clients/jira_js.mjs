// Logs in with `jira.js`, from the files of the preset Standard in the folder of the first argument.
import { readFileSync } from 'node:fs';
import { Version2Client, Version3Client } from 'jira.js';

const read = (key) => readFileSync(`${process.argv[2]}/${key}`, 'utf8');
const scheme = read('scheme');
const config = { host: read('url') };
if (scheme === 'Cookie') {
  config.baseRequestConfig = { headers: { Cookie: read('cookie') } };
} else if (scheme === 'Basic') {
  const isToken = read('hosting') === 'Cloud';
  config.authentication = {
    basic: { email: read('username'), apiToken: read(isToken ? 'token' : 'password') },
  };
} else {
  config.authentication = { oauth2: { accessToken: read('token') } };
}
const Client = read('hosting') === 'Cloud' ? Version3Client : Version2Client;
const me = await new Client(config).myself.getCurrentUser();
console.log(me.accountId ?? me.key);
