mod placeholder_state {}
