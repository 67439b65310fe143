export default () => "lazy";
