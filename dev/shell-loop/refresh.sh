#!/bin/sh
# One run of the CronJob that teams write when they need an Atlassian token in a cluster: get the
# refresh token, exchange it, patch the Secret. `cargo xtask kill` measures it beside the operator.
# Not for use: it is written the way these scripts are written, with the flaws that they share.
#
#   - Whatever ends it between the exchange and the patch takes the only valid refresh token along.
#   - Two runs that overlap spend the same token.
#   - An answer without a refresh token puts the word "null" into the Secret.
#   - It spends a token at every run, whether one is needed or not.
#   - The client secret and the tokens are arguments of processes, for all of the node to see.
#   - The raw answer goes to the log when something is wrong with it.
#   - Nobody asks Jira whether the new token works, or for whom.
#   - Every run restarts the deployment.
#
# Needs curl, jq, kubectl and: SECRET, TOKEN_URL, CLIENT_ID, CLIENT_SECRET; DEPLOYMENT if one is to
# be restarted.
set -eu

refresh_token=$(kubectl get secret "$SECRET" -o json | jq -r '.data["refresh-token"]' | base64 -d)

answer=$(curl -sS --max-time 30 -X POST "$TOKEN_URL" \
    -H 'Content-Type: application/json' \
    -d "{\"grant_type\":\"refresh_token\",\"client_id\":\"$CLIENT_ID\",\"client_secret\":\"$CLIENT_SECRET\",\"refresh_token\":\"$refresh_token\"}")

access_token=$(echo "$answer" | jq -r .access_token)
refresh_token=$(echo "$answer" | jq -r .refresh_token)
if [ "$access_token" = null ]; then
    echo "could not refresh: $answer" >&2
    exit 1
fi

kubectl patch secret "$SECRET" --type merge \
    -p "{\"stringData\":{\"token\":\"$access_token\",\"refresh-token\":\"$refresh_token\"}}"

if [ -n "${DEPLOYMENT:-}" ]; then
    kubectl rollout restart deployment "$DEPLOYMENT"
fi
