"""What an agent has on this host: directories, socket, cgroup, processes; and how it is started in them."""
