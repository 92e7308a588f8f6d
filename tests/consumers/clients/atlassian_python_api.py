"""Logs in with `atlassian-python-api`, from the files of the preset Standard in the folder argv[1]."""
import pathlib
import sys

from atlassian import Jira

folder = pathlib.Path(sys.argv[1])


def read(key):
    return (folder / key).read_text()


scheme = read("scheme")
if scheme == "Cookie":
    login = {"cookies": {"JSESSIONID": read("JSESSIONID")}}
elif scheme == "Basic":
    key = "token" if (folder / "token").exists() else "password"
    login = {"username": read("username"), "password": read(key)}
elif scheme == "OAuth":
    login = {"oauth": {
        "consumer_key": read("consumerKey"),
        "key_cert": read("privateKey"),
        "access_token": read("token"),
        "access_token_secret": read("tokenSecret"),
        "signature_method": read("signatureMethod"),
    }}
else:
    login = {"token": read("token")}
jira = Jira(read("url"), cloud=read("hosting") == "Cloud", **login)
me = jira.myself()
print(me.get("accountId") or me["key"])
