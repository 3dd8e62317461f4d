-- Who may do what. Taken away first and given anew, so that a right that leaves this file leaves the database.
-- The roles belong to the stack; what dbt makes in its schemas it grants to gate and publisher itself (`+grants`).

revoke all on all tables in schema rollups, ledger, marts
from loader, dbt, gate, publisher, reader, lander, maintainer, alerter, repairer, bookkeeper, tracer, eraser;
revoke all on all sequences in schema ledger
from loader, dbt, gate, publisher, reader, lander, maintainer, alerter, repairer, bookkeeper, tracer, eraser;
revoke all on schema rollups, ledger, staging, intermediate, marts_build, marts
from loader, dbt, gate, publisher, reader, lander, maintainer, alerter, repairer, bookkeeper, tracer, eraser;

grant usage on schema sketch to loader, dbt, gate, publisher, reader, maintainer;
grant usage on schema calendar to dbt, gate, publisher, reader, alerter, tracer;

-- loader: lake to rollups, and the books of it.
grant usage on schema rollups, ledger to loader;
grant select, insert, delete on all tables in schema rollups to loader;
grant execute on function rollups.ensure_months to loader;
grant select on ledger.landed, ledger.lake_floor, ledger.lake_files, ledger.held_minutes to loader;
grant select, insert, update, delete on
ledger.touched, ledger.cells, ledger.cursors, ledger.unpublished, ledger.loads, ledger.rejects, ledger.rejects_touched
to loader;
grant usage, select on sequence ledger.change_seq to loader;
-- A repaired event that it meets in the lake it marks as met.
grant select on ledger.repairs to loader;
grant update (loaded_at) on ledger.repairs to loader;
-- A reprocessing compares first, and puts what differs in place when no build run is between claim and publication.
grant select on ledger.publications to loader;
grant select, insert, update, delete on
ledger.reprocesses, ledger.reprocess_types, ledger.reprocess_minutes, ledger.reprocess_rows
to loader;
grant select, insert, update on ledger.books_touched to loader;
-- The nightly audit of ids, a job beside the load.
grant select, insert, delete on ledger.id_audits to loader;

-- dbt: rollups to candidates.
grant usage on schema rollups, ledger to dbt;
grant select on all tables in schema rollups, ledger to dbt;
grant usage, create on schema staging, intermediate, marts_build to dbt;

-- gate: looks at everything before the marts, and says what it saw.
grant usage on schema rollups, ledger, intermediate, marts_build to gate;
grant select on all tables in schema rollups, ledger to gate;
-- Delete: a stage that runs again replaces what it said before.
grant insert, delete on ledger.gate_results to gate;

-- publisher: claims what to build, and takes candidates to marts. It inserts and reads rollups to claim all that there is.
grant usage on schema rollups, ledger, intermediate, marts_build, marts to publisher;
grant select on all tables in schema rollups, ledger to publisher;
-- Maintain: a claim tells the planner of itself.
grant insert, update, delete, maintain on ledger.unpublished to publisher;
grant usage on sequence ledger.change_seq to publisher;
-- A claim switches a tenant to the time zone that was asked for.
grant update (marts_time_zone) on ledger.tenants to publisher;
grant insert on ledger.restatements to publisher;
grant insert, update on ledger.publications to publisher;
grant select, insert, update, delete on all tables in schema marts to publisher;
-- The views there are windows on the ledger: written through, they would let it change what was done.
revoke insert, update, delete on
marts.loads, marts.gate_results, marts.publications, marts.popular_apps, marts.rejects_hourly, marts.arrivals_hourly,
marts.books_hourly, marts.restatements, marts.id_audits
from publisher;

-- lander: how far the lake is.
grant usage on schema ledger to lander;
grant select, insert, update on
ledger.landed, ledger.collectors, ledger.receipts_read, ledger.receipt_cells
to lander;

-- maintainer: the floor of the lake, and old minutes into quarter-hours; it never touches anything.
grant usage on schema rollups, ledger to maintainer;
grant select, insert, delete on all tables in schema rollups to maintainer;
grant select on ledger.cursors, ledger.touched, ledger.rejects_touched, ledger.unpublished to maintainer;
grant select, insert, update on ledger.lake_floor to maintainer;
-- What a reprocessing replaced is forgotten after its time.
grant select, delete on ledger.reprocesses to maintainer;

-- bookkeeper: sets what was acknowledged against what landed and what is counted. It touches minutes whose file came back.
grant usage on schema rollups, ledger to bookkeeper;
grant select on all tables in schema rollups, ledger to bookkeeper;
grant select, insert, update, delete on
ledger.lake_files, ledger.file_ranges, ledger.file_minutes, ledger.held_minutes, ledger.books_touched, ledger.books,
ledger.reconciliations
to bookkeeper;
grant insert, update on ledger.receipt_cells, ledger.collectors, ledger.touched, ledger.rejects_touched to bookkeeper;
grant usage on sequence ledger.change_seq to bookkeeper;

-- tracer: follows one event through all of it, and changes nothing.
grant usage on schema rollups, ledger, marts to tracer;
grant select on all tables in schema rollups, ledger, marts to tracer;

-- reader: dashboards and clients, finished numbers only.
grant usage on schema marts to reader;
grant select on all tables in schema marts to reader;

-- alerter: judges finished numbers, and remembers what it has told.
grant usage on schema marts, ledger, sketch to alerter;
grant select on all tables in schema marts to alerter;
grant select, insert, update on ledger.incidents to alerter;
grant select, insert on ledger.reports to alerter;

-- repairer: which rejected events were mended and sent again, and what is too old to be.
grant usage on schema ledger to repairer;
grant select on ledger.lake_floor, ledger.lake_files to repairer;
grant select, insert, update on ledger.repair_runs to repairer;
grant select, insert, update, delete on ledger.repairs to repairer;

-- eraser: who asked to be forgotten, and what is to be counted anew without them.
grant usage on schema ledger to eraser;
grant select on all tables in schema ledger to eraser;
grant select, insert, update, delete on ledger.erasures, ledger.erasure_touches, ledger.erasure_files to eraser;
-- What reprocessings keep of minutes with somebody in them has hashes of theirs.
grant delete on ledger.reprocess_minutes, ledger.reprocess_rows to eraser;
grant insert, update on ledger.touched, ledger.rejects_touched to eraser;
grant usage on sequence ledger.change_seq to eraser;

-- tenants: what people of one tenant may read, each its own rows, is in row_security.sql.
