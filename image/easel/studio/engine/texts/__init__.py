"""From words to what the backbone attends to, call by call."""
