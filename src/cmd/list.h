/* One line for each subcommand; no guard: included with different COMMAND. */
COMMAND(read)
COMMAND(hunt)
COMMAND(mirror)
COMMAND(sources)
COMMAND(watch)
COMMAND(doctor)
