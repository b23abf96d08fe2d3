-- Inheritance: columns in another order, gone, renamed, of two parents, with other defaults.

CREATE TABLE zoo.beings (gone int, id int NOT NULL, name text DEFAULT 'being', CONSTRAINT small CHECK (id < 100000), CONSTRAINT own CHECK (id <> 13) NO INHERIT);
CREATE TABLE zoo.swimmers (depth int, id int);
CREATE TABLE zoo.fish (fins int, name text DEFAULT 'fish', extra int) INHERITS (zoo.beings);
CREATE TABLE zoo.otters (coat text, id int DEFAULT 7) INHERITS (zoo.beings, zoo.swimmers);
CREATE TABLE zoo.cubs () INHERITS (zoo.otters);
CREATE TABLE zoo.late (extra text, depth int, age int, id int);
ALTER TABLE zoo.late DROP extra;
ALTER TABLE zoo.late INHERIT zoo.swimmers;
ALTER TABLE zoo.beings DROP gone;
ALTER TABLE zoo.fish DROP extra;
ALTER TABLE zoo.beings ADD added date DEFAULT '2024-02-29';
ALTER TABLE ONLY zoo.fish ALTER added SET DEFAULT '2025-01-01';
INSERT INTO zoo.beings (id, name) SELECT i, 'b' || i FROM generate_series(1, 12) i;
INSERT INTO zoo.fish (id, fins) SELECT i, i % 3 FROM generate_series(100, 120) i;
INSERT INTO zoo.otters (id, depth, coat) SELECT i, -i, 'c' FROM generate_series(200, 210) i;
INSERT INTO zoo.cubs (depth) VALUES (1), (NULL);
INSERT INTO zoo.late VALUES (1, 2, 3);
CREATE INDEX ON zoo.otters (depth);
COMMENT ON TABLE zoo.otters IS 'both';
