#!/bin/sh
# Ends in Jira what the operator has made and still keeps: sessions, and personal access tokens that replace
# themselves. Tokens that a person created, and consents of OAuth 2.0, stay.
#
# Run it when the operator is gone (kubectl delete -k deploy), and before the Secrets with stored tokens are
# deleted. Pods that have one of these tokens or sessions are refused from then on. Arguments go to curl, such
# as --cacert corp-ca.pem. Needs kubectl, jq and curl. It can be repeated: what is gone is skipped.
set -eu

rows=$(kubectl get secrets --all-namespaces --selector jira-operator.dev/grant --output json | jq --raw-output '
  .items[] | (.metadata.namespace + "/" + .metadata.name) as $secret
  | .data.grant | @base64d | fromjson
  | ((.live // .candidate).client.endpoint // "") as $endpoint
  | select($endpoint | test("/rest/(pat/latest/tokens|auth/1/session)$"))
  | ([.live, .candidate] | map(select(. != null and .attempt != null and .access != null) | .access))
    + (.retired // [])
  | .[]
  | [$secret, $endpoint, (.id // "-"), .token] | @tsv')
tab=$(printf '\t')
failed=0

while IFS=$tab read -r secret endpoint id token; do
  [ -n "$secret" ] || continue
  case $endpoint in
    */rest/auth/1/session) url=$endpoint header="Cookie: $token" what=session ;;
    *) url=$endpoint/$id header="Authorization: Bearer $token" what="token $id" ;;
  esac
  if [ "$what" = 'token -' ]; then
    echo "$secret: the id of a token is not known: revoke it in the profile of its account" >&2
    failed=1
    continue
  fi
  # Through standard input: arguments of a process can be read by others.
  code=$(printf '%s\n' "$header" | curl --silent --show-error --max-time 30 --request DELETE --header @- \
    --output /dev/null --write-out '%{http_code}' "$@" "$url") || code='no answer'
  case $code in
    200 | 204) echo "$secret: $what ended" ;;
    401 | 404) echo "$secret: $what was gone" ;;
    *)
      echo "$secret: $what not ended: $code" >&2
      failed=1
      ;;
  esac
done <<ROWS
$rows
ROWS
exit "$failed"
