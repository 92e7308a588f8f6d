if [ "$JIRA_AUTH_TYPE" = basic ]; then
  login=$(printf 'user = "%s:%s"' "$JIRA_USERNAME" "$JIRA_API_TOKEN")
else
  login=$(printf 'header = "Authorization: Bearer %s"' "$JIRA_API_TOKEN")
fi
printf %s "$login" | curl --silent --show-error --fail --config - "$JIRA_URL/rest/api/2/myself"
