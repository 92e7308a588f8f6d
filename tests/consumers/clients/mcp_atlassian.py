"""Logs in as the server `mcp-atlassian` does when it starts, from variables only."""
from mcp_atlassian.jira import JiraFetcher
from mcp_atlassian.jira.config import JiraConfig

print(JiraFetcher(config=JiraConfig.from_env()).get_current_user_account_id())
