"""The relay's WebSocket side: who is connected, and what goes to whom."""
