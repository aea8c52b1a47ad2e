"""A fault harness: a plant of real processes, whose promises are tried at random moments and then proved by its books.

``python -m tests.soak --seconds N --seed S`` starts simulated devices, two edge agents, mosquitto, influxd, two ingest
processes and the API, each a process of its own, with links between them that can be cut, stalled and slowed. While it
runs it kills, cuts, fills disks, repeats and shuffles messages, sends broken ones and steps clocks; each fault ends by
itself. Then the backlog drains, the agents stop polling, the facts settle, and the books are compared:

committed   every seq of every outbox file, with the unit and source time that its message told on the wire
lost        committed, and not in the historian
phantom     stored without a journal entry, without a message that carried it, or one reading at two times
wrong       stored with other values than the simulators' journal, or with another time than that of its poll
unpersisted journaled, and neither committed nor the poll of a committed BAD sample: killed between answer and commit
"""
