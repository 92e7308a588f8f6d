"""Logs in with the client `jira`, from the files of the preset Standard in the folder argv[1]."""
import pathlib
import sys

from jira import JIRA

folder = pathlib.Path(sys.argv[1])


def read(key):
    return (folder / key).read_text()


options = {"server": read("url")}
scheme = read("scheme")
if scheme == "Cookie":
    options["headers"] = {"Cookie": read("cookie")}
    login = {}
elif scheme == "Basic":
    key = "token" if (folder / "token").exists() else "password"
    login = {"basic_auth": (read("username"), read(key))}
elif scheme == "OAuth":
    login = {"oauth": {
        "consumer_key": read("consumerKey"),
        "key_cert": read("privateKey"),
        "access_token": read("token"),
        "access_token_secret": read("tokenSecret"),
        "signature_method": read("signatureMethod"),
    }}
else:
    login = {"token_auth": read("token")}
jira = JIRA(options=options, get_server_info=False, max_retries=0, **login)
me = jira.myself()
print(me.get("accountId") or me["key"])
