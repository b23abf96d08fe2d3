-- Triggers, event triggers and rules, each in every state.

CREATE TABLE zoo.log (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION zoo.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO zoo.log (what) VALUES (TG_NAME || ' ' || TG_OP || ' ' || coalesce(TG_ARGV[0], ''));
    RETURN coalesce(NEW, OLD);
END $$;
CREATE FUNCTION zoo.forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a trigger fired while the rows were loaded';
END $$;

-- Rows are loaded before triggers exist: these would tell if they were not.
CREATE TRIGGER no_insert BEFORE INSERT ON zoo.identity_full FOR EACH ROW EXECUTE FUNCTION zoo.forbid();
CREATE TRIGGER "always; ""on""" BEFORE INSERT ON zoo.identity_index FOR EACH STATEMENT EXECUTE FUNCTION zoo.forbid();
ALTER TABLE zoo.identity_index ENABLE ALWAYS TRIGGER "always; ""on""";
CREATE TRIGGER for_replicas AFTER UPDATE OF name, mood ON zoo.animals FOR EACH ROW
    WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION zoo.note('it''s; "arg"', E'new\nline');
ALTER TABLE zoo.animals ENABLE REPLICA TRIGGER for_replicas;
CREATE TRIGGER disabled BEFORE DELETE ON zoo.animals FOR EACH ROW EXECUTE FUNCTION zoo.forbid();
ALTER TABLE zoo.animals DISABLE TRIGGER disabled;
CREATE TRIGGER truncated BEFORE TRUNCATE ON zoo.animals FOR EACH STATEMENT EXECUTE FUNCTION zoo.note();
CREATE TRIGGER with_tables AFTER INSERT ON zoo.keepers REFERENCING NEW TABLE AS "New rows" FOR EACH STATEMENT EXECUTE FUNCTION zoo.note();
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON zoo.keepers FROM zoo.animals DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION zoo.note();
CREATE TRIGGER instead INSTEAD OF INSERT OR DELETE ON zoo."View; ""of"" views" FOR EACH ROW EXECUTE FUNCTION zoo.note();
CREATE TRIGGER on_parts AFTER INSERT ON zoo.visits FOR EACH ROW EXECUTE FUNCTION zoo.note();
ALTER TABLE zoo.visits_2025 DISABLE TRIGGER on_parts;
COMMENT ON TRIGGER for_replicas ON zoo.animals IS 'replica; only';

-- Rules.
CREATE RULE also AS ON INSERT TO zoo.empty DO ALSO INSERT INTO zoo.log (what) VALUES ('rule; ' || NEW.b);
CREATE RULE "instead; nothing" AS ON DELETE TO zoo.empty WHERE OLD.a > 10 DO INSTEAD NOTHING;
CREATE RULE off AS ON UPDATE TO zoo.empty DO INSTEAD NOTHING;
CREATE RULE always AS ON INSERT TO zoo.identity_none DO ALSO NOTIFY zoo;
ALTER TABLE zoo.empty DISABLE RULE off;
ALTER TABLE zoo.identity_none ENABLE ALWAYS RULE always;
COMMENT ON RULE also ON zoo.empty IS 'a rule';

-- Event triggers. The first refuses what a restore still has to do if it is made too early and the setting is on.
CREATE FUNCTION zoo.frozen() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('zoo.frozen', true) = 'on' THEN
        RAISE EXCEPTION 'the zoo is frozen: %', tg_tag;
    END IF;
END $$;
CREATE FUNCTION zoo.harmless() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER menagerie_frozen ON ddl_command_start EXECUTE FUNCTION zoo.frozen();
CREATE EVENT TRIGGER "menagerie; ""tagged""" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION zoo.harmless();
CREATE EVENT TRIGGER menagerie_disabled ON sql_drop EXECUTE FUNCTION zoo.harmless();
ALTER EVENT TRIGGER menagerie_disabled DISABLE;
CREATE EVENT TRIGGER menagerie_replica ON table_rewrite EXECUTE FUNCTION zoo.harmless();
ALTER EVENT TRIGGER menagerie_replica ENABLE REPLICA;
COMMENT ON EVENT TRIGGER menagerie_frozen IS 'when zoo.frozen is on';
