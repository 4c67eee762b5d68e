
from clove import CloveClient
with CloveClient() as k:
    print(k.fetch("plan")["value"]); k.store("plan", "owned by minimal"); print(k.delete_key("other"), k.broadcast("hi all"))
